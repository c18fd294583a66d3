// Reads Dockerfiles with BuildKit's own parser and writes what it makes of them, for the tests that compare it with
// Gabion's. See README.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

type document struct {
	End     string `json:"end"`
	Expands bool   `json:"expands"`
	Tabs    bool   `json:"tabs"`
	Number  uint   `json:"number"`
	Text    string `json:"text"`
}

type instruction struct {
	Name      string     `json:"name"`
	Lines     [2]int     `json:"lines"`
	Flags     []string   `json:"flags"`
	Arguments []string   `json:"arguments"`
	List      bool       `json:"list"`
	Documents []document `json:"documents"`
}

type file struct {
	Text string `json:"text"`
	// Refused says that no instructions can be read.
	Refused bool `json:"refused"`
	// Invalid says what kind of mistake keeps the instructions from being built, or is empty.
	Invalid      string        `json:"invalid"`
	Instructions []instruction `json:"instructions"`
}

type word struct {
	Text   string `json:"text"`
	Escape string `json:"escape"`
	Result string `json:"result"`
	Error  bool   `json:"error"`
}

type golden struct {
	Files []file `json:"files"`
	Words []word `json:"words"`
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == "-random" {
		count, seed := number(os.Args[2]), number(os.Args[3])
		write(os.Args[4], random(count, int64(seed)), randomWords(count, int64(seed)))
		return
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dockerfiles ROOT | dockerfiles -random COUNT SEED FILE")
		os.Exit(2)
	}
	text, err := os.ReadFile("cases.txt")
	check(err)
	cases := strings.Split(strings.TrimSuffix(string(text), "\n====\n"), "\n====\n")
	for i := range cases {
		cases[i] = strings.NewReplacer("␉", "\t", "␍", "\r", "␌", "\f").Replace(cases[i] + "\n")
	}
	cases = append(cases, shapes()...)
	cases = append(cases, random(400, 7)...)
	words := append(fixedWords(), randomWords(400, 7)...)
	write(filepath.Join(os.Args[1], "tests/golden/dockerfiles.json"), cases, words)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

// One case a line, so that a change shows as one.
func write(path string, cases []string, words []string) {
	all := golden{}
	for _, text := range cases {
		all.Files = append(all.Files, read(text))
	}
	for _, text := range words {
		all.Words = append(all.Words, expand(text, '\\'), expand(text, '`'))
	}
	var text strings.Builder
	text.WriteString("{\"files\": [\n")
	lines(&text, all.Files)
	text.WriteString("], \"words\": [\n")
	lines(&text, all.Words)
	text.WriteString("]}\n")
	check(os.WriteFile(path, []byte(text.String()), 0o644))
}

func lines[T any](text *strings.Builder, all []T) {
	for i, one := range all {
		line, err := json.Marshal(one)
		check(err)
		text.Write(line)
		if i+1 < len(all) {
			text.WriteString(",")
		}
		text.WriteString("\n")
	}
}

func read(text string) file {
	own := file{Text: text, Instructions: []instruction{}}
	result, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		own.Refused, own.Invalid = true, "text"
		return own
	}
	for _, node := range result.AST.Children {
		own.Instructions = append(own.Instructions, written(node))
	}
	stages, _, err := instructions.Parse(result.AST, nil)
	if err == nil && len(stages) == 0 {
		err = fmt.Errorf("no stage")
	}
	if err == nil {
		err = later(result.AST)
	}
	if err != nil {
		own.Invalid = kind(err)
	}
	return own
}

// What ONBUILD keeps is read when somebody builds on the image. Gabion reads it at once.
func later(root *parser.Node) error {
	for _, node := range root.Children {
		if !strings.EqualFold(node.Value, "onbuild") || node.Next == nil {
			continue
		}
		for _, kept := range node.Next.Children {
			if _, err := instructions.ParseInstruction(kept); err != nil {
				return err
			}
		}
	}
	return nil
}

// Which flags there are changes with each release, and Gabion takes every one.
func kind(err error) string {
	if strings.Contains(err.Error(), " flag") {
		return "flag"
	}
	return "build"
}

func written(node *parser.Node) instruction {
	own := instruction{
		Name: strings.ToUpper(node.Value), Lines: [2]int{node.StartLine, node.EndLine},
		Flags: append([]string{}, node.Flags...), Arguments: []string{}, List: node.Attributes["json"],
		Documents: []document{},
	}
	for next := node.Next; next != nil; next = next.Next {
		if len(next.Children) > 0 {
			child := written(next.Children[0])
			own.Arguments = append(own.Arguments, child.Name)
			own.Arguments = append(own.Arguments, child.Flags...)
			own.Arguments = append(own.Arguments, child.Arguments...)
			continue
		}
		own.Arguments = append(own.Arguments, next.Value)
	}
	for _, heredoc := range node.Heredocs {
		own.Documents = append(own.Documents, document{
			heredoc.Name, heredoc.Expand, heredoc.Chomp, heredoc.FileDescriptor, heredoc.Content,
		})
	}
	return own
}

func expand(text string, escape rune) word {
	values := shell.EnvsFromSlice([]string{"A=one", "B=", "V=1.22.3-alpine", "P=/usr/local/bin", "S=x y", "Q=it's", "ABC=abcabc"})
	result, _, err := shell.NewLex(escape).ProcessWord(text, values)
	return word{Text: text, Escape: string(escape), Result: result, Error: err != nil}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
