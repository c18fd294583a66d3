package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// functions are those of a template: sprig's but for what would let a template look around, and ESO's own.
func functions() template.FuncMap {
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, name)
	}
	for name, function := range own {
		functions[name] = function
	}
	return functions
}

func templates(names ...string) func(map[string]string) ([]any, error) {
	return func(fixtures map[string]string) ([]any, error) {
		var all []any
		for _, name := range names {
			vectors, err := readCases(name)
			if err != nil {
				return nil, err
			}
			for _, vector := range vectors {
				data, err := vector.data(fixtures)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", vector.Name, err)
				}
				vector.Outcome = render(vector.Template, vector.Delims, data)
				all = append(all, vector)
			}
		}
		return all, nil
	}
}

// data is what the template sees.
func (v *Vector) data(fixtures map[string]string) (map[string]string, error) {
	data := map[string]string{}
	for key, value := range v.Data {
		data[key] = value
	}
	for key, value := range v.Data64 {
		decoded, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, err
		}
		data[key] = string(decoded)
	}
	for key, name := range v.Fixtures {
		value, found := fixtures[name]
		if !found {
			return nil, fmt.Errorf("no fixture %q", name)
		}
		data[key] = value
	}
	for key, name := range v.Fixtures64 {
		decoded, err := base64.StdEncoding.DecodeString(fixtures[name])
		if err != nil || len(decoded) == 0 {
			return nil, fmt.Errorf("no fixture %q in base64", name)
		}
		data[key] = string(decoded)
	}
	return data, nil
}

// render does what the original does with a template.
func render(text string, delims []string, data map[string]string) Outcome {
	parser := template.New("golden").Option("missingkey=error").Funcs(functions())
	if len(delims) == 2 {
		parser = parser.Delims(delims[0], delims[1])
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return Outcome{Error: "parse", Message: err.Error()}
	}
	var out bytes.Buffer
	if err := execute(parsed, &out, data); err != nil {
		return Outcome{Error: class(err), Message: shortened(err.Error())}
	}
	return textOf(out.Bytes())
}

// execute turns a panic into an error: the original would crash. What it means for us is an error of a function.
func execute(parsed *template.Template, out *bytes.Buffer, data map[string]string) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("error calling a function: panic: %v", panicked)
		}
	}()
	return parsed.Execute(out, data)
}

// class tells what went wrong, by the words of Go's messages: templates that call one another without end, a key
// that is absent, a function that failed (also a built-in one), or else a value of a type that cannot be used so.
func class(err error) string {
	switch message := err.Error(); {
	case strings.Contains(message, "exceeded maximum template depth"):
		return "bound"
	case strings.Contains(message, "error calling "):
		return "function"
	case strings.Contains(message, "map has no entry for key"):
		return "missing"
	default:
		return "type"
	}
}

// shortened keeps long values out of the messages, and what is different in every run.
func shortened(message string) string {
	message = regexp.MustCompile(`0x[0-9a-f]{8,}`).ReplaceAllString(message, "0x…")
	if len(message) > 300 {
		return strings.ToValidUTF8(message[:300], "") + "…"
	}
	return message
}

var heading = regexp.MustCompile(`^\[([a-zA-Z0-9_-]+)\]$`)

// readCases reads a file of cases; language.txt explains the form.
func readCases(name string) ([]*Vector, error) {
	content, err := cases.ReadFile("cases/" + name)
	if err != nil {
		return nil, err
	}
	var vectors []*Vector
	var group Vector
	number := 0
	add := func(title, text string) {
		number++
		vector := group
		vector.Template = text
		vector.Name = fmt.Sprintf("%s %d", group.Group, number)
		if title != "" {
			vector.Name = fmt.Sprintf("%s: %s", group.Group, title)
		}
		vectors = append(vectors, &vector)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for at := 0; at < len(lines); at++ {
		line := lines[at]
		switch matched := heading.FindStringSubmatch(line); {
		case line == "" || strings.HasPrefix(line, "# "):
		case matched != nil:
			group, number = Vector{Group: matched[1]}, 0
		case strings.HasPrefix(line, "data {"):
			if err := group.setData(strings.TrimPrefix(line, "data ")); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, at+1, err)
			}
		case strings.HasPrefix(line, "delims "):
			group.Delims = strings.Fields(line)[1:]
		case strings.HasPrefix(line, "<<<"):
			end := at + 1
			for end < len(lines) && lines[end] != ">>>" {
				end++
			}
			if end == len(lines) {
				return nil, fmt.Errorf("%s:%d: <<< has no >>>", name, at+1)
			}
			add(strings.TrimSpace(line[3:]), strings.Join(lines[at+1:end], "\n"))
			at = end
		default:
			add("", line)
		}
	}
	return vectors, nil
}

// setData takes a line of data: values that start with @ name fixtures, !b64 stands for what is in base64.
func (v *Vector) setData(line string) error {
	var given map[string]string
	if err := json.Unmarshal([]byte(line), &given); err != nil {
		return err
	}
	v.Data, v.Data64 = map[string]string{}, map[string]string{}
	v.Fixtures, v.Fixtures64 = map[string]string{}, map[string]string{}
	for key, value := range given {
		name, encoded := strings.CutSuffix(key, "!b64")
		if fixture, is := strings.CutPrefix(value, "@"); is {
			if plain, decoded := strings.CutSuffix(fixture, "!b64"); decoded {
				v.Fixtures64[key] = plain
			} else {
				v.Fixtures[key] = fixture
			}
		} else if encoded {
			v.Data64[name] = value
		} else {
			v.Data[key] = value
		}
	}
	return nil
}
