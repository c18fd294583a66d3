package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
)

// random writes templates that nobody would think of, in the form of language.json: what a table of cases
// leaves out. The seed makes them the same again.
func random(path string, count int, seed int64) error {
	made := newMaker(seed)
	vectors := []any{}
	for len(vectors) < count {
		made.variables = nil
		vector := &Vector{Name: fmt.Sprintf("random %d", len(vectors)), Group: "random", Template: made.body(made.Intn(3)), Data: randomData}
		vector.Outcome = render(vector.Template, nil, vector.Data)
		// A text that is no UTF-8 cannot be kept in JSON, and the order of Go's maps is anybody's guess.
		if strings.ToValidUTF8(vector.Template, "") != vector.Template {
			continue
		}
		vectors = append(vectors, vector)
	}
	text, err := json.MarshalIndent(vectors, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, "language.json"), text, 0o644)
}

var randomData = map[string]string{
	"a": "A", "b": "", "n": "5", "word": "héy wörld", "list": "a,b,,c", "version": "1.2.3",
	"j": `{"a":{"b":[1,2.5,"x",null,true]},"c":"d","n":1000000,"e":{}}`, "yaml": "a: 1\nb: [x, 'y']\nc: {d: no}\n", "url": "http://u:p@h:80/p/q?x=1#f",
}

// Functions whose results depend on time, chance or the order of a map, or that take long.
var left = map[string]bool{
	"now": true, "ago": true, "randAlphaNum": true, "randAlpha": true, "randAscii": true, "randNumeric": true, "randInt": true, "randBytes": true,
	"shuffle": true, "uuidv4": true, "keys": true, "values": true, "bcrypt": true, "htpasswd": true, "derivePassword": true, "genPrivateKey": true,
	"genCA": true, "genCAWithKey": true, "genSelfSignedCert": true, "genSelfSignedCertWithKey": true, "genSignedCert": true, "genSignedCertWithKey": true,
	"encryptAES": true, "pemToPkcs12": true, "pemToPkcs12Pass": true, "fullPemToPkcs12": true, "fullPemToPkcs12Pass": true,
	"pemTruststoreToPKCS12": true, "pemTruststoreToPKCS12Pass": true, "pluck": true, "toDate": true, "date": true, "htmlDate": true, "date_in_zone": true, "dateInZone": true, "htmlDateInZone": true,
}

// Functions that take a list where their signature says anything.
var lists = map[string]bool{
	"first": true, "rest": true, "last": true, "initial": true, "append": true, "push": true, "prepend": true, "uniq": true, "without": true, "has": true,
	"slice": true, "concat": true, "chunk": true, "compact": true, "reverse": true, "join": true, "sortalpha": true, "tostrings": true,
}

type maker struct {
	*rand.Rand
	functions map[string]any
	names     []string
	variables []string
}

func newMaker(seed int64) *maker {
	made := &maker{Rand: rand.New(rand.NewSource(seed)), functions: functions()}
	for name := range made.functions {
		if !left[name] {
			made.names = append(made.names, name)
		}
	}
	sort.Strings(made.names)
	return made
}

func (m *maker) pick(all ...string) string { return all[m.Intn(len(all))] }

func (m *maker) body(depth int) string {
	var out strings.Builder
	for range 1 + m.Intn(2) {
		out.WriteString(m.statement(depth))
	}
	return out.String()
}

func (m *maker) action(text string) string {
	open, end := "{{ ", " }}"
	if m.Intn(8) == 0 {
		open = "{{- "
	}
	if m.Intn(8) == 0 {
		end = " -}}"
	}
	return open + text + end
}

func (m *maker) statement(depth int) string {
	if depth <= 0 {
		return m.action(m.pipeline(1))
	}
	inner := func() string {
		known := len(m.variables)
		defer func() { m.variables = m.variables[:known] }()
		return m.body(depth - 1)
	}
	switch m.Intn(16) {
	case 0, 1:
		return m.pick("text", " ", "\n", "a b", "|", "}} ", "x\n\n y")
	case 2:
		return m.action("if "+m.pipeline(2)) + inner() + m.action("end")
	case 3:
		return m.action("if "+m.pipeline(2)) + inner() + m.action("else") + inner() + m.action("end")
	case 4:
		return m.action("if "+m.pipeline(1)) + inner() + m.action("else if "+m.pipeline(1)) + inner() + m.action("end")
	case 5:
		return m.action("with "+m.pipeline(2)) + inner() + m.pick("", m.action("else")+inner()) + m.action("end")
	case 6, 7:
		return m.action("range "+m.collection()) + inner() + m.pick("", "", m.action("if "+m.pipeline(1))+m.action(m.pick("break", "continue"))+m.action("end"), m.action("else")+inner()) + m.action("end")
	case 8, 9:
		known := len(m.variables)
		defer func() { m.variables = m.variables[:known] }()
		text := m.collection()
		m.variables = append(m.variables, "$k", "$v")
		return m.action("range $k, $v := "+text) + m.body(depth-1) + m.action("end")
	case 10, 11:
		name := m.pick("$x", "$y", "$z")
		text := m.action(name + " := " + m.pipeline(2))
		m.variables = append(m.variables, name)
		return text
	case 12:
		if len(m.variables) > 0 {
			return m.action(m.variables[m.Intn(len(m.variables))] + " = " + m.pipeline(2))
		}
		return m.action(m.pipeline(2))
	default:
		return m.action(m.pipeline(3))
	}
}

func (m *maker) collection() string {
	return m.pick("list 1 \"a\" nil", "dict \"k\" 1 \"b\" (list 1 2)", "until 4", "fromJson $.j", "(fromJson $.j).a.b", "splitList \",\" $.list", "3", ".", "split \",\" $.list", "fromYaml $.yaml", m.value(2))
}

func (m *maker) pipeline(depth int) string {
	text := m.operand(depth)
	for m.Intn(4) == 0 {
		text += " | " + m.pick("upper", "lower", "trim", "quote", "toString", "toJson", "b64enc", "len", "default \"d\"", "print", "printf \"%v\"", "toYaml", "typeOf", "not", "html", "list", "squote", m.call(depth-1, 1))
	}
	return text
}

func (m *maker) operand(depth int) string {
	if m.Intn(3) == 0 {
		return m.value(depth)
	}
	return m.call(depth, 0)
}

var builtins = []string{"printf", "print", "println", "index", "len", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "html", "js", "urlquery"}

// call is a call with the arguments that the function takes, mostly; `piped` come from the pipe.
func (m *maker) call(depth, piped int) string {
	if m.Intn(4) == 0 {
		return m.builtin(depth, piped)
	}
	name := m.names[m.Intn(len(m.names))]
	signature := reflect.TypeOf(m.functions[name])
	count := signature.NumIn()
	if signature.IsVariadic() {
		count += m.Intn(3) - 1
	}
	if m.Intn(25) == 0 {
		count += m.Intn(3) - 1
	}
	text := name
	for at := 0; at < count-piped; at++ {
		last := signature.NumIn() - 1
		var wanted reflect.Type
		switch {
		case at < last || (at == last && !signature.IsVariadic()):
			wanted = signature.In(at)
		case last >= 0 && signature.IsVariadic():
			wanted = signature.In(last).Elem()
		default:
			wanted = reflect.TypeOf("")
		}
		if lists[strings.ToLower(strings.TrimPrefix(name, "must"))] && wanted.Kind() == reflect.Interface && m.Intn(3) > 0 {
			text += " " + m.listing(depth-1)
			continue
		}
		text += " " + m.argument(depth-1, wanted)
	}
	return text
}

func (m *maker) builtin(depth, piped int) string {
	name := builtins[m.Intn(len(builtins))]
	count := 2
	switch name {
	case "len", "not":
		count = 1
	case "printf":
		verb := "%" + m.pick("", "", "-", "+", "#", "0", " ") + m.pick("", "", "5", "2", "12") + m.pick("", "", ".1", ".3", ".0") + m.pick("v", "s", "d", "q", "x", "X", "f", "g", "e", "t", "T", "c", "U", "o", "b", "+v", "#v", "z")
		text := fmt.Sprintf("printf %q", m.pick("", "a ", "é")+verb+m.pick("", " %v", "%%", " %s"))
		for range m.Intn(3) - piped {
			text += " " + m.value(depth-1)
		}
		return text
	case "print", "println", "html", "js", "urlquery", "and", "or":
		count = m.Intn(4)
	}
	text := name
	for range count - piped {
		text += " " + m.value(depth-1)
	}
	return text
}

func (m *maker) argument(depth int, wanted reflect.Type) string {
	if m.Intn(12) == 0 {
		return m.value(depth)
	}
	switch wanted.Kind() {
	case reflect.String:
		return m.text(depth)
	case reflect.Int, reflect.Int64:
		return m.number(depth)
	case reflect.Float64:
		return m.pick("1.5", "0.5", "2")
	case reflect.Bool:
		return m.pick("true", "false", "(eq 1 1)", "(not $.b)")
	case reflect.Map:
		return m.mapping(depth)
	case reflect.Slice:
		return m.listing(depth)
	case reflect.Struct:
		return m.pick(`(toDate "2006-01-02" "2024-02-29")`, `(mustToDate "2006-01-02 15:04" "1999-12-31 23:59")`, m.value(depth))
	default:
		return m.value(depth)
	}
}

func (m *maker) text(depth int) string {
	if depth > 0 && m.Intn(4) == 0 {
		return "(" + m.pick("upper", "b64enc", "trim", "title", "quote", "snakecase", "toString", "toJson", "b64dec", "nospace", "squote", "camelcase") + " " + m.text(depth-1) + ")"
	}
	return m.pick("$.a", "$.b", "$.n", "$.word", "$.list", "$.j", "$.yaml", "$.url", "$.version", `"x"`, `""`, `"a b c"`, `","`, `" "`, `"é"`, "`raw\\n`", `"a,b"`, `"10"`, `"-1.5"`, `"1h"`, `"a1B2 c_d-e"`, `"\n"`, `"<&>'"`, `"[a-c]+"`, `"(\\w+)"`, `"$1"`, `">1.0"`, `"/a/../b.txt"`, `"aGk="`, `"tRuE"`, `"%d"`, `"\x00\xff"`, `"UPPER lower"`, `"_0"`, `"k"`, `"a"`, `"null"`, `"[1,2]"`)
}

func (m *maker) number(depth int) string {
	if depth > 0 && m.Intn(5) == 0 {
		return "(" + m.pick("len $.word", "int $.n", "atoi $.n", "add 1 2", "int64 3", "int 2.9", "int \"7\"") + ")"
	}
	return m.pick("0", "1", "2", "3", "-1", "5", "10", "42", "-3", "7", "'a'", "0x10")
}

func (m *maker) mapping(depth int) string {
	return m.pick("(dict)", `(dict "a" 1)`, `(dict "k" "v" "a" nil)`, `(dict "a" (dict "b" 2))`, "(fromJson $.j)", "(fromYaml $.yaml)", fmt.Sprintf(`(dict "k" %s)`, m.value(depth-1)))
}

func (m *maker) listing(depth int) string {
	return m.pick("(list)", "(list 1 2 3)", `(list "b" "a" "b")`, "(list nil 0 \"\" 1.5)", `(splitList "," $.list)`, "(until 3)", "(fromJson $.j).a.b", fmt.Sprintf("(list %s %s)", m.value(depth-1), m.value(depth-1)))
}

func (m *maker) value(depth int) string {
	if len(m.variables) > 0 && m.Intn(4) == 0 {
		return m.variables[m.Intn(len(m.variables))] + m.pick("", "", "", "", ".a")
	}
	if depth > 0 && m.Intn(3) == 0 {
		return "(" + m.pipeline(depth-1) + ")" + m.pick("", "", "", "", "", ".a")
	}
	switch m.Intn(12) {
	case 0, 1, 2:
		return m.text(depth)
	case 3, 4:
		return m.number(depth)
	case 5:
		return m.pick("1.5", "-0.25", "1e6", "2.0", "1e21", "0.1", "3.0", "1e-7")
	case 6:
		return m.pick("true", "false")
	case 7:
		return m.pick("nil", ".", "$", ".missing", ".a.b")
	case 8, 9:
		return m.listing(depth)
	default:
		return m.mapping(depth)
	}
}
