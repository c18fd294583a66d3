package main

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// wholeDocument is what the broken documents are made from.
const wholeDocument = `{"user":"svc", "pa\u0073s":"p\\"1","port":5432,"on":true,"none":null,"tags":["a",{"k":"v","n":1.50},[1,2]],"db":{"host":"h","deep":{"x":[true,"y"]}},"last":"z"}`

// brokenPaths are followed in every broken document.
var brokenPaths = []string{
	"user", "pass", "port", "on", "none", "last", "absent", "tags", "tags.0", "tags.1.k", "tags.2.1", "tags.#", "tags.#.k", "tags.#.n",
	`tags.#(k=="v").n`, `tags.#(k=="v")#.n`, "tags.#(>0)", "db", "db.host", "db.deep.x.1", "d*.host", "db.deep.x.#|@this", "@keys", "@values", "@reverse",
	"@this", "@tostr", "@valid.user", "db.@keys", "tags.@flatten", "tags.@reverse", "tags.@join", "{user,port}", "[last,db.host]", "..0.user", "..#", "@dig:host",
}

// written are documents that people might write.
var written = []string{
	`{"user":"svc","pass":"p-1",}`, `{"user":"svc"} trailing`, `{"user":"svc"}}`, `{"user":"svc"`, `{"user":"svc`, `"user":"svc"`, `{user:"svc","last":"z"}`,
	`{'user':'svc',"last":"z"}`, `{"user" "svc"}`, `{"user"="svc"}`, `{"user":svc,"last":"z"}`, `{"user":True,"last":"z"}`, `{"user":tru}`, `{"user":nul}`, `{"user":n}`, `{"user":n`,
	`{"user":NaN}`, `{"user":nan,"last":1}`, `{"user":Infinity}`, `{"user":inf}`, `{"user":-}`, `{"user":+5}`, `{"user":05}`, `{"user":1e}`, `{"user":1.}`, `{"user":.5}`, `{"user":0x1f}`,
	`{"user":1_000}`, `{"port":5432 5433}`, `{"user":}`, `{"user":,"last":"z"}`, `{"user":},"last":"z"}`, `{"user"}`, `{"user":"svc" "last":"z"}`, `{"user":"svc";"last":"z"}`,
	`{"user":"a\qb"}`, `{"user":"a\\qb"}`, `{"user":"a\\"}`, `{"user":"a\u12"}`, `{"user":"a\u12"`, `{"user":"a\uzzzzb"}`, `{"user":"\ud800\u0041b"}`, `{"user":"\ud83d\ude00"}`, `{"user":"\udc00x"}`,
	"{\"user\":\"a\nb\"}", "{\"user\":\"a\\tb\nc\"}", "{\"user\":\"a\x00b\"}", "\ufeff{\"user\":\"svc\"}", "# comment\n{\"user\":\"svc\"}", "{\"user\":\"svc\" // comment\n,\"last\":\"z\"}",
	"{/* \"user\" */\"user\":\"svc\"}", `{"tags":["a",]}`, `{"tags":[,"a"]}`, `{"tags":["a" "b"]}`, `{"tags":["a""b"]}`, `{"tags":["a",{"k":"v"},],"last":{"k":"w"}}`, `{"tags":["a"}`, `{"tags":["a","b"`,
	`{"tags":["a","b`, `{"tags":[1,2,3}`, `{"tags":(1,2),"last":"z"}`, `{"tags":[{"k":"v"},{"k":"w"}`, `{"tags":{"k":"v"]}`, `{"db":{"host":"h","last":"z"`, `{"db":{"host":"h"]},"last":"z"}`, `{"db":"{","last":"z"}`,
	`{"db":{"host":"h"},"db":{"host":"i"`, `{"a":{"db":1},"db":{"host":"h"}`, `[{"user":"svc"},`, `["user"`, `[`, `{`, `}`, `]`, `{}{"user":"svc"}`, `[]{"user":"svc"}`, `[1]{"user":"svc"}`, `"{\\"user\\":1}"`, `"user`, `"user\\"`,
	"{\"user\":\"svc\"}\n{\"user\":\"two\"}\n", "{\"user\":\"svc\"}\xff", "{\"us\xffer\":1,\"user\":\"s\xfevc\"}", "\xff\xfe{\"user\":\"svc\"}", `export X='{"user":"svc"}'`, `user: svc`, `null`, `true`, `12`, ``, ` `,
}

// A brokenDocument is a text and what is found in it at each of brokenPaths: a text after "=", "-" for nothing.
type brokenDocument struct {
	JSON     string   `json:"json"`
	Outcomes []string `json:"outcomes"`
}

// broken follows paths in documents that are no JSON, but for a few.
func broken(map[string]string) ([]any, error) {
	all := []any{map[string][]string{"paths": brokenPaths}}
	for _, text := range append(mutated(wholeDocument), written...) {
		document := brokenDocument{JSON: inBase64(text)}
		for _, path := range brokenPaths {
			found := follow(text, path)
			switch {
			case found.Absent:
				document.Outcomes = append(document.Outcomes, "-")
			case found.Want64 != nil:
				document.Outcomes = append(document.Outcomes, "base64:"+*found.Want64)
			default:
				document.Outcomes = append(document.Outcomes, "="+*found.Want)
			}
		}
		all = append(all, document)
	}
	return all, nil
}

func inBase64(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return "base64:" + base64.StdEncoding.EncodeToString([]byte(text))
}

// mutated cuts a document after each of its bytes, leaves out each of its marks, and puts each mark before some bytes.
func mutated(document string) []string {
	const marks = `{}[]":,\`
	var all []string
	for at := range len(document) {
		if at%2 == 0 {
			all = append(all, document[:at])
		}
		if strings.IndexByte(marks, document[at]) >= 0 {
			all = append(all, document[:at]+document[at+1:])
		}
		added := (marks + "x1 ")[at%(len(marks)+3)]
		all = append(all, document[:at]+string(added)+document[at:])
	}
	return all
}
