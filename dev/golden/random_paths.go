package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
)

// randomPaths writes paths made by chance, through the documents of cases/gjson.txt, in the form of gjson.json.
func randomPaths(folder string, count int, seed int64) error {
	chance := &walker{rand.New(rand.NewSource(seed))}
	all, err := paths(nil)
	if err != nil {
		return err
	}
	var documents []document
	entries := []any{}
	for _, entry := range all {
		if found, is := entry.(document); is && !strings.Contains("notjson nothing plain trailing single", found.Document) {
			documents = append(documents, found)
			entries = append(entries, found)
		}
	}
	for at := range count {
		in := documents[chance.Intn(len(documents))]
		if at%2 == 1 {
			in = document{fmt.Sprintf("broken %d", at), chance.broken(in.JSON)}
			entries = append(entries, in)
		}
		text := chance.path(3)
		found := follow(in.JSON, text)
		found.Name, found.Group, found.Document, found.Path = fmt.Sprintf("random %d", at), "random", in.Document, text
		entries = append(entries, found)
	}
	var out bytes.Buffer
	if err := list(&out, entries); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "gjson.json"), out.Bytes(), 0o644)
}

type walker struct{ *rand.Rand }

// broken changes a few bytes of a document.
func (w *walker) broken(json string) string {
	for range 1 + w.Intn(3) {
		if json == "" {
			break
		}
		at := w.Intn(len(json))
		switch w.Intn(4) {
		case 0:
			json = json[:at]
		case 1:
			json = json[:at] + json[at+1:]
		case 2:
			json = json[:at] + w.pick("{", "}", "[", "]", "\"", ":", ",", "\\", "(", ")", "x", "1", " ", "n", "t", "-") + json[at:]
		default:
			other := w.Intn(len(json))
			json = json[:at] + json[other:]
		}
	}
	return strings.ToValidUTF8(json, "?")
}

func (w *walker) pick(all ...string) string { return all[w.Intn(len(all))] }

func (w *walker) path(depth int) string {
	text := w.part(depth)
	for range w.Intn(4) {
		text += w.pick(".", ".", ".", "|") + w.part(depth)
	}
	return text
}

func (w *walker) part(depth int) string {
	if depth <= 0 {
		return w.pick("a", "0", "name", "#", "*")
	}
	switch w.Intn(12) {
	case 0, 1:
		return w.pick("0", "1", "2", "#", "#")
	case 2:
		return w.pick("*", "h*", "?", "d*", "*s", "p?rt", "n*d", "**")
	case 3, 4:
		return "@" + w.pick("this", "keys", "values", "reverse", "flatten", "flatten:{\"deep\":true}", "join", "ugly", "tostr", "fromstr", "valid", "pretty", "pretty:{\"sortKeys\":true}", "group", "dig:name", "dig:#", "pretty:{\"width\":20,\"indent\":\"   \"}", "nosuch", "join:{\"preserve\":true}")
	case 5, 6:
		return "#(" + w.query(depth-1) + w.pick(")", ")", ")#")
	case 7:
		return "[" + w.path(depth-1) + "," + w.path(depth-1) + "]"
	case 8:
		return "{" + w.pick("", "\"n\":", "k:") + w.path(depth-1) + w.pick("", ","+w.path(depth-1)) + "}"
	default:
		return w.pick("user", "port", "db", "db", "hosts", "hosts", "hosts", "nested", "host", "tags", "name", "nets", "up", "json", "deep", "x", "none", "pass", "arr", "nums", "a", "b", "c", "d", "e", "f", "obj", "y", "dup", "a\\.b", "emptyobj", "emptyarr", "k", "nl", "half", "!1", "!\"x\"", "")
	}
}

func (w *walker) query(depth int) string {
	left := w.pick("", "name", "port", "up", "nets", "0", "k", "nets.#", "#")
	if depth > 0 && w.Intn(5) == 0 {
		left = w.path(depth - 1)
	}
	if w.Intn(6) == 0 {
		return left
	}
	return left + w.pick("==", "!=", "<", "<=", ">", ">=", "=", "%", "!%") + w.pick("1", "22", "\"h1\"", "\"h*\"", "true", "false", "null", "2.5", "web", "~true", "~false", "~null", "~*", "\"\"", "\"a\"", "")
}
