package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"unicode"

	"sigs.k8s.io/yaml"
)

// A value that is decoded.
type decoding struct {
	Name     string `json:"name"`
	Group    string `json:"group"`
	Strategy string `json:"strategy"`
	Value    string `json:"value"`
	Outcome
}

// Keys that are made valid.
type conversion struct {
	Name     string   `json:"name"`
	Group    string   `json:"group"`
	Strategy string   `json:"strategy"`
	Keys     []string `json:"keys"`
	WantKeys []string `json:"wantKeys,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// Data that is rewritten.
type rewriting struct {
	Name       string            `json:"name"`
	Group      string            `json:"group"`
	Operations json.RawMessage   `json:"operations"`
	Data       map[string]string `json:"data"`
	WantData   map[string]string `json:"wantData,omitempty"`
	Error      string            `json:"error,omitempty"`
}

// A mapping that a template with keys and values renders.
type mapping struct {
	Name     string            `json:"name"`
	Group    string            `json:"group"`
	YAML     string            `json:"yaml"`
	WantData map[string]string `json:"wantData,omitempty"`
	Error    string            `json:"error,omitempty"`
}

func shaping(map[string]string) ([]any, error) {
	var all []any
	for nth, text := range mappings {
		given := mapping{Name: fmt.Sprintf("mapping %d", nth+1), Group: "mapping", YAML: text, WantData: map[string]string{}}
		if err := yaml.Unmarshal([]byte(text), &given.WantData); err != nil {
			given.WantData, given.Error = nil, "refused"
		}
		all = append(all, given)
	}
	for nth, given := range decodings {
		given.Name, given.Group = fmt.Sprintf("decode %d", nth+1), "decode"
		out, err := decode(given.Strategy, given.Value)
		if given.Outcome = textOf(out); err != nil {
			given.Outcome = Outcome{Error: "refused", Message: err.Error()}
		}
		all = append(all, given)
	}
	for nth, given := range conversions {
		given.Name, given.Group = fmt.Sprintf("convert %d", nth+1), "convert"
		out, err := convert(given.Strategy, given.Keys)
		if given.WantKeys = out; err != nil {
			given.WantKeys, given.Error = nil, "refused"
		}
		all = append(all, given)
	}
	for nth, given := range rewritings {
		made := rewriting{Name: fmt.Sprintf("rewrite %d", nth+1), Group: "rewrite", Data: given.data}
		made.Operations = json.RawMessage(given.operations)
		out, err := rewrite(made.Operations, given.data)
		if made.WantData = out; err != nil {
			made.WantData, made.Error = nil, "refused"
		}
		all = append(all, made)
	}
	return all, nil
}

func decode(strategy, value string) ([]byte, error) {
	switch strategy {
	case "Base64":
		return base64.StdEncoding.DecodeString(value)
	case "Base64URL":
		return base64.URLEncoding.DecodeString(value)
	case "Auto":
		if out, err := base64.StdEncoding.DecodeString(value); err == nil {
			return out, nil
		}
		if out, err := base64.URLEncoding.DecodeString(value); err == nil {
			return out, nil
		}
	}
	return []byte(value), nil
}

// convert replaces what is neither a letter nor a number of any script; two keys that become one are refused.
func convert(strategy string, keys []string) ([]string, error) {
	var out []string
	for _, key := range keys {
		var made strings.Builder
		for _, c := range key {
			switch {
			case unicode.IsLetter(c) || unicode.IsNumber(c) || strings.ContainsRune("-._", c):
				made.WriteRune(c)
			case strategy == "Unicode":
				fmt.Fprintf(&made, "_U%04x_", c)
			default:
				made.WriteByte('_')
			}
		}
		if slices.Contains(out, made.String()) {
			return nil, errors.New("collision")
		}
		out = append(out, made.String())
	}
	for _, key := range out {
		if len(key) > 253 {
			return nil, errors.New("too long")
		}
	}
	out = slices.DeleteFunc(out, func(key string) bool { return key == "" })
	sort.Strings(out)
	return out, nil
}

type operation struct {
	Regexp    *struct{ Source, Target string }
	Transform *struct{ Template string }
	Merge     *struct {
		Into, PriorityPolicy, ConflictPolicy, Strategy string
		Priority                                       []string
	}
}

func rewrite(operations json.RawMessage, data map[string]string) (map[string]string, error) {
	var all []operation
	if err := json.Unmarshal(operations, &all); err != nil {
		return nil, err
	}
	for _, operation := range all {
		var err error
		switch out := map[string]string{}; {
		case operation.Merge != nil:
			data, err = merge(operation, data)
		case operation.Regexp != nil:
			var pattern *regexp.Regexp
			if pattern, err = regexp.Compile(operation.Regexp.Source); err == nil {
				for key, value := range data {
					out[pattern.ReplaceAllString(key, operation.Regexp.Target)] = value
				}
			}
			data = out
		case operation.Transform != nil:
			data, err = transform(operation.Transform.Template, data)
		}
		if err != nil {
			return nil, err
		}
	}
	return data, nil
}

// transform has no option for missing keys: they are <no value>.
func transform(text string, data map[string]string) (map[string]string, error) {
	parsed, err := template.New("transform").Funcs(functions()).Parse(text)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for key, value := range data {
		var made bytes.Buffer
		if err := execute(parsed, &made, map[string]string{"value": key}); err != nil {
			return nil, err
		}
		out[made.String()] = value
	}
	return out, nil
}

func merge(operation operation, data map[string]string) (map[string]string, error) {
	wanted := operation.Merge
	var order []string
	for key := range data {
		if !slices.Contains(wanted.Priority, key) {
			order = append(order, key)
		}
	}
	sort.Strings(order)
	merged, conflicts := map[string]any{}, 0
	for _, key := range append(order, wanted.Priority...) {
		value, found := data[key]
		if !found && wanted.PriorityPolicy == "IgnoreNotFound" {
			continue
		}
		if !found {
			return nil, errors.New("a key of the priority list is absent")
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(value), &members); err != nil {
			return nil, err
		}
		for key, value := range members {
			if _, there := merged[key]; there {
				conflicts++
			}
			merged[key] = value
		}
	}
	if conflicts > 0 && wanted.ConflictPolicy != "Ignore" {
		return nil, errors.New("conflicts")
	}
	out := map[string]string{}
	if wanted.Strategy != "JSON" {
		for key, value := range merged {
			text, err := plain(value)
			if err != nil {
				return nil, err
			}
			out[key] = text
		}
		return out, nil
	}
	if wanted.Into == "" {
		return nil, errors.New("into is missing")
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(merged); err != nil {
		return nil, err
	}
	for key, value := range data {
		out[key] = value
	}
	out[wanted.Into] = strings.TrimRight(text.String(), "\n")
	return out, nil
}

// plain is a member of a merged object as a value.
func plain(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), nil
	default:
		text, err := json.Marshal(value)
		return string(text), err
	}
}
