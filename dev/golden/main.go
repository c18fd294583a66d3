// Golden runs templates, paths and keys through Go and the libraries of External Secrets, and writes the results
// as vectors for the tests of Gabion. See README.md here.
//
//	go run . ../..                        writes the vectors; the argument is the root of the repository
//	go run . -check ../..                 compares, and names the files that differ
//	go run . -keys ../..                  makes new keys and certificates first
//	go run . -random 20000 -seed 7 FOLDER writes random templates and paths
//	go run . -race FOLDER                 measures how fast Go renders the templates in a folder
package main

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"
)

//go:embed cases/*
var cases embed.FS

// A Vector is one case and what has to come of it. Text that is no UTF-8 is kept in base64 in the field
// whose name ends in 64.
type Vector struct {
	Name     string            `json:"name"`
	Group    string            `json:"group"`
	Template string            `json:"template"`
	Delims   []string          `json:"delims,omitempty"`
	Data     map[string]string `json:"data,omitempty"`
	Data64   map[string]string `json:"data64,omitempty"`
	// Fixtures and Fixtures64 name entries of fixtures.json: as they are, and decoded from base64.
	Fixtures   map[string]string `json:"fixtures,omitempty"`
	Fixtures64 map[string]string `json:"fixtures64,omitempty"`
	Outcome
}

// An Outcome is a text or an error.
type Outcome struct {
	Want   *string `json:"want,omitempty"`
	Want64 *string `json:"want64,omitempty"`
	// Error is the class: parse, missing, type, function or bound.
	Error string `json:"error,omitempty"`
	// Message is Go's, for whoever reads a failure. It is not compared.
	Message string `json:"message,omitempty"`
}

func textOf(bytes []byte) Outcome {
	value := string(bytes)
	if utf8.Valid(bytes) {
		return Outcome{Want: &value}
	}
	value = base64.StdEncoding.EncodeToString(bytes)
	return Outcome{Want64: &value}
}

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	runs := flag.Bool("race", false, "render the templates in the folder as often as possible; see crates/gotemplate/benches/race.rs")
	count := flag.Int("random", 0, "write so many random templates and paths")
	seed := flag.Int64("seed", 1, "of what is random")
	keys := flag.Bool("keys", false, "make new keys and certificates")
	flag.Parse()
	// A container's zone.
	time.Local = time.UTC
	folder := flag.Arg(0)
	if folder == "" {
		fail(fmt.Errorf("usage: go run . [-check] FOLDER"))
	}
	if *runs {
		fail(race(folder))
		return
	}
	if *count > 0 {
		fail(random(folder, *count, *seed))
		fail(randomPaths(folder, *count, *seed))
		return
	}
	keyFile := filepath.Join(folder, templateFolder, "fixtures.json")
	if *keys {
		fail(writeFixtures(keyFile))
	}
	fixtures, err := readFixtures(keyFile)
	fail(err)
	same := true
	for _, file := range files {
		vectors, err := file.make(fixtures)
		fail(err)
		if !*check {
			fail(settled(vectors, fixtures, file.make))
		}
		path := filepath.Join(folder, file.folder, file.name)
		var written bytes.Buffer
		fail(list(&written, vectors))
		if *check {
			old, err := os.ReadFile(path)
			fail(err)
			if !bytes.Equal(old, written.Bytes()) {
				fmt.Fprintf(os.Stderr, "%s differs from what Go gives now: run make golden\n", path)
				same = false
			}
			continue
		}
		fail(os.WriteFile(path, written.Bytes(), 0o644))
		fmt.Printf("%s: %d\n", file.name, len(vectors))
	}
	if !same {
		os.Exit(1)
	}
}

// settled makes the vectors again and again, three times and for five seconds at least. Go walks its maps in another
// order each time: what depends on that has no right answer, and is no vector.
func settled(first []any, fixtures map[string]string, make func(map[string]string) ([]any, error)) error {
	var want bytes.Buffer
	if err := list(&want, first); err != nil {
		return err
	}
	lines := bytes.Split(want.Bytes(), []byte("\n"))
	for times, start := 1, time.Now(); times < 3 || time.Since(start) < 5*time.Second; times++ {
		again, err := make(fixtures)
		if err != nil {
			return err
		}
		var got bytes.Buffer
		if err := list(&got, again); err != nil {
			return err
		}
		for nth, line := range bytes.Split(got.Bytes(), []byte("\n")) {
			if nth >= len(lines) || !bytes.Equal(line, lines[nth]) {
				return fmt.Errorf("Go's answer is another one each time, so this is no vector: %s", line)
			}
		}
	}
	return nil
}

// Where the vectors of the template engine and of the operator are.
const (
	templateFolder = "crates/gotemplate/tests/golden"
	operatorFolder = "tests/golden"
)

var files = []struct {
	folder, name string
	make         func(fixtures map[string]string) ([]any, error)
}{
	{templateFolder, "language.json", templates("language.txt")},
	{templateFolder, "functions.json", templates("functions.txt", "own.txt")},
	{templateFolder, "tables.json", tables},
	{templateFolder, "documents.json", templates("documents.txt")},
	{operatorFolder, "gjson.json", paths},
	{operatorFolder, "broken.json", broken},
	{operatorFolder, "shaping.json", shaping},
}

// list writes a JSON array with one entry a line, so that a change of one case is a change of one line.
func list(out *bytes.Buffer, entries []any) error {
	out.WriteString("[\n")
	for nth, entry := range entries {
		if nth > 0 {
			out.WriteString(",\n")
		}
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(entry); err != nil {
			return err
		}
		out.Truncate(out.Len() - 1)
	}
	out.WriteString("\n]\n")
	return nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
