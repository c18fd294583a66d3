package main

import "strings"

// What templates with keys and values render.
var mappings = append(withScalars(), []string{
	"pin: 0123\nversion: 1.0\nbig: 1000000.0\noff: x", "a: b", "", "# nothing", "---", "null", "~", "a:", "a: ''", `a: "0123"`, "a: '1.0'", "a: |\n  01\n  02\n", "a: >\n  01\n  02\n",
	"- a", "a", "1", "true", "a: [1]", "a: {b: c}", "a: []", "a: {}", "a: b\na: c", "a: 1\n---\nb: 2", "a: 1\n...\nb", "a: b: c", "a: 'b", "\ta: b", "a: \tb", "? a\n: b", "? [a]\n: b", "{a: 1, b: 2}", `{"a": 1.0, "b": "x"}`, `{"a":1e3}`,
	"1: a", "1.0: a", "1.5: a", "0123: a", "true: a", "on: a", "null: a", "~: a", ".inf: a", ".nan: a", "16777217.0: a", "9223372036854775808: a", "2001-01-01: a", "a: &x 0123\nb: *x", "a: &x 1.50\nb: *x", "a: &x y\n*x : 1",
	"base: &b {x: 0123, y: 1.0}", "<<: {x: 0123, y: 1.0}\nz: off", "<<: [{x: 1.0}, {x: 2.0, y: no}]", "<<: 1", "<<: {x: 1}\nx: 2", "x: 2\n<<: {x: 1}", "a: !!str 0123", "a: !!int 12", "a: !!int '12'", "a: !!int x", "a: !!float 1", "a: !!float 1.50", "a: !!bool yes", "a: !!bool 'yes'",
	"a: !!null ''", "a: !!null x", "a: !!binary aGk=", "a: !!binary /w==", "a: !!timestamp 2001-01-01", "a: !x 0123", "!!str 0123: a", "a: 1 # comment", "a: 1#2", "a: x\n  y", "a: 1\n  2", "a: \"\\u0041\"", "a: \"\\ud83d\\ude00\"", "a: \"\\/\"", "ключ: значение", "a b: c d", "a: *x", "a: %x", "a: `x`",
	"a: -\nb: 1", "a: b\r\nc: 0123\r\n", "a: \u00a0x", "a: \"x\\ny\"", "a: - 1", "-: a", "a: {", "a: }", "a: ]", "a: ,", "a: ?", "a: =", "=: a", "a: <<", "\ufeffa: 0123",
}...)

// withScalars is a mapping for each plain scalar that could be more than text.
func withScalars() []string {
	var all []string
	for _, scalar := range strings.Fields(`0123 123 -0123 +123 0o17 0x1F 0X1f 0b101 08 09.5 1_000 1_ _1 0 -0 +0 00 9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616 -9223372036854775809 1.0 1.50 1000000.0 100000.0 123456.0 1234567.5 0.0001 0.00001 1e3 1E3 1e-7 1e+06 1e21 1e400 -1e400 1. .5 -.5 +.5 1.2.3 1e 0x1p-2 .inf -.Inf +.INF .nan .NaN inf nan true True TRUE tRue false yes Yes YES no NO on Off off y Y n N ~ null Null NULL nil None 2001-01-01 2001-01-01T00:00:00Z 12:30:45 190:20:30 1:2 685_230.15 0777 0778 1,000 1.000,5 12e03 0.1 0.30000000000000004 3.4028235e+38 16777217 12345678901234567890 1e16 123456789012345680000 4.9e-324 +1 -1 - -- --- + a @a !a`) {
		all = append(all, "a: "+scalar)
	}
	return all
}

var decodings = []decoding{
	{Strategy: "None", Value: "aGVsbG8="},
	{Strategy: "None", Value: ""},
	{Strategy: "Base64", Value: "aGVsbG8="},
	{Strategy: "Base64", Value: "aGVs\nbG8="},
	{Strategy: "Base64", Value: "aGVs\r\nbG8=\r\n"},
	{Strategy: "Base64", Value: "a\nG\nV\nsbG8\n=\n"},
	{Strategy: "Base64", Value: "aGVsbG8"},
	{Strategy: "Base64", Value: "aGVsbG8 ="},
	{Strategy: "Base64", Value: " aGVsbG8="},
	{Strategy: "Base64", Value: "aGVsbG9="},
	{Strategy: "Base64", Value: "aGVsbG8=="},
	{Strategy: "Base64", Value: "aGVsbG8=aGVsbG8="},
	{Strategy: "Base64", Value: "aGk=\n\naGk="},
	{Strategy: "Base64", Value: "YQ=\n="},
	{Strategy: "Base64", Value: "YQ=="},
	{Strategy: "Base64", Value: "YQ="},
	{Strategy: "Base64", Value: "YR=="},
	{Strategy: "Base64", Value: "="},
	{Strategy: "Base64", Value: "===="},
	{Strategy: "Base64", Value: "A==="},
	{Strategy: "Base64", Value: ""},
	{Strategy: "Base64", Value: "\n"},
	{Strategy: "Base64", Value: "+/+/"},
	{Strategy: "Base64", Value: "-_-_"},
	{Strategy: "Base64", Value: "AP8="},
	{Strategy: "Base64", Value: "héllo"},
	{Strategy: "Base64", Value: "a\tGk="},
	{Strategy: "Base64URL", Value: "-_-_"},
	{Strategy: "Base64URL", Value: "+/+/"},
	{Strategy: "Base64URL", Value: "aGVsbG8"},
	{Strategy: "Base64URL", Value: "aGVsbG8="},
	{Strategy: "Base64URL", Value: "_w==\n"},
	{Strategy: "Auto", Value: "aGVsbG8="},
	{Strategy: "Auto", Value: "-_-_"},
	{Strategy: "Auto", Value: "+_+_"},
	{Strategy: "Auto", Value: "password"},
	{Strategy: "Auto", Value: "hunter2"},
	{Strategy: "Auto", Value: "test"},
	{Strategy: "Auto", Value: ""},
	{Strategy: "Auto", Value: "not base64!"},
	{Strategy: "Auto", Value: "12345678"},
	{Strategy: "Auto", Value: "pass\nword"},
}

var conversions = []conversion{
	{Strategy: "Default", Keys: []string{"plain", "with-dash.and_dot"}},
	{Strategy: "Default", Keys: []string{"a/b/c", "sp ace", "col:on", "at@"}},
	{Strategy: "Default", Keys: []string{"a/b", "a b"}},
	{Strategy: "Default", Keys: []string{"a/b", "a_b"}},
	{Strategy: "Default", Keys: []string{"", "x"}},
	{Strategy: "Default", Keys: []string{"€", "tab\t", "nul\x00"}},
	{Strategy: "Default", Keys: []string{"😀"}},
	{Strategy: "Default", Keys: []string{"é", "ß", "日本"}},
	{Strategy: "Default", Keys: []string{"①", "²"}},
	{Strategy: "Default", Keys: []string{strings.Repeat("k", 253)}},
	{Strategy: "Default", Keys: []string{strings.Repeat("k", 254)}},
	{Strategy: "Unicode", Keys: []string{"a/b", "a b", "a_b"}},
	{Strategy: "Unicode", Keys: []string{"😀", "€", "\t"}},
	{Strategy: "Unicode", Keys: []string{"é"}},
	{Strategy: "Unicode", Keys: []string{"_U002f_", "/"}},
	{Strategy: "Unicode", Keys: []string{strings.Repeat("/", 40)}},
	{Strategy: "Unicode", Keys: []string{"", "~!#$%^&*()+=[]{}|;',<>?`\""}},
}

type rewritingCase struct {
	operations string
	data       map[string]string
}

var (
	keyed   = map[string]string{"path/to/db-user": "u", "path/to/db-pass": "p", "other": "o"}
	objects = map[string]string{"a": `{"k":"a","x":1}`, "b": `{"k":"b","y":[1,2]}`, "c": `{"z":{"n":null}}`}
	values  = map[string]string{"a": `{"s":"text","i":5,"f":1.50,"e":1e3,"big":1e21,"t":true,"n":null,"o":{"b":2,"a":"<&>"},"l":[1.0,"x",{}],"u":"\u00e9","neg":-0.0}`}
)

var rewritings = []rewritingCase{
	{`[]`, keyed},
	{`[{"regexp":{"source":"path/to/(.*)","target":"$1"}}]`, keyed},
	{`[{"regexp":{"source":"path/to/(.*)","target":"x_$1"}}]`, keyed},
	{`[{"regexp":{"source":"path/to/(.*)","target":"${1}_x"}}]`, keyed},
	{`[{"regexp":{"source":"path/to/(.*)","target":"$1_x"}}]`, map[string]string{"path/to/a": "1"}},
	{`[{"regexp":{"source":"path/to/(.*)","target":"$1x"}}]`, map[string]string{"path/to/a": "1"}},
	{`[{"regexp":{"source":"path/(?P<mid>[a-z]+)/(?P<last>.*)","target":"${last}.$mid"}}]`, keyed},
	{`[{"regexp":{"source":"/","target":"_"}},{"regexp":{"source":"^path_to_","target":""}}]`, keyed},
	{`[{"regexp":{"source":"[^a-z]","target":"$0$0"}}]`, keyed},
	{`[{"regexp":{"source":"x*","target":"-"}}]`, map[string]string{"axb": "1", "é": "2"}},
	{`[{"regexp":{"source":"","target":"."}}]`, map[string]string{"abc": "1"}},
	{`[{"regexp":{"source":"o","target":"$$1"}}]`, map[string]string{"foo": "1"}},
	{`[{"regexp":{"source":"o","target":"$"}}]`, map[string]string{"foo": "1"}},
	{`[{"regexp":{"source":"(o)","target":"$2"}}]`, map[string]string{"foo": "1"}},
	{`[{"regexp":{"source":"(o)","target":"${"}}]`, map[string]string{"foo": "1"}},
	{`[{"regexp":{"source":"(?i)FOO","target":"bar"}}]`, map[string]string{"fOo": "1"}},
	{`[{"regexp":{"source":"(?=a)","target":"b"}}]`, map[string]string{"a": "1"}},
	{`[{"regexp":{"source":"(","target":"b"}}]`, map[string]string{"a": "1"}},
	{`[{"regexp":{"source":"\\w+","target":"x"}}]`, map[string]string{"é-a": "1"}},
	{`[{"regexp":{"source":"^(.*)$","target":"pre-$1"}}]`, map[string]string{"": "1", "a\nb": "2"}},
	{`[{"transform":{"template":"{{ .value | upper }}"}}]`, keyed},
	{`[{"transform":{"template":"PRE_{{ .value | replace \"/\" \"_\" | trimPrefix \"path_\" | snakecase | upper }}"}}]`, keyed},
	{`[{"transform":{"template":"{{ .missing }}-{{ .value }}"}}]`, map[string]string{"a": "1"}},
	{`[{"transform":{"template":"{{ .value"}}]`, map[string]string{"a": "1"}},
	{`[{"transform":{"template":"{{ fail \"x\" }}"}}]`, map[string]string{"a": "1"}},
	{`[{"transform":{"template":"{{ fail \"x\" }}"}}]`, map[string]string{}},
	{`[{"transform":{"template":"{{ if hasPrefix \"path\" .value }}{{ base .value }}{{ else }}{{ .value }}{{ end }}"}},{"regexp":{"source":"-","target":"."}}]`, keyed},
	{`[{"merge":{"conflictPolicy":"Ignore"}}]`, objects},
	{`[{"merge":{}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","priority":["a"]}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","priority":["b","a"]}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Error","priority":["a"]}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","priority":["nope"]}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","priority":["nope","a"],"priorityPolicy":"IgnoreNotFound"}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","priority":["a","a"]}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","strategy":"JSON","into":"all"}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","strategy":"JSON"}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","strategy":"JSON","into":"a"}}]`, objects},
	{`[{"merge":{"conflictPolicy":"Ignore","strategy":"Extract","into":"ignored"}}]`, objects},
	{`[{"merge":{}}]`, values},
	{`[{"merge":{"strategy":"JSON","into":"all"}}]`, values},
	{`[{"merge":{}}]`, map[string]string{"a": "not json"}},
	{`[{"merge":{}}]`, map[string]string{"a": "[1]"}},
	{`[{"merge":{}}]`, map[string]string{"a": "null", "b": `{"x":"y"}`}},
	{`[{"merge":{}}]`, map[string]string{"a": "{}"}},
	{`[{"merge":{"strategy":"JSON","into":"all"}}]`, map[string]string{}},
	{`[{"merge":{}}]`, map[string]string{"a": `{"d":1,"d":2}`}},
	{`[{"merge":{}}]`, map[string]string{"a": `{"id":12345678901234567890}`}},
	{`[{"merge":{}},{"regexp":{"source":"^","target":"p."}}]`, map[string]string{"a": `{"x":"1","y":"2"}`}},
}
