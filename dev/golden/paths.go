package main

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// A document that the paths after it are followed in.
type document struct {
	Document string `json:"document"`
	JSON     string `json:"json"`
}

// A path is one of `property`, and what is found there.
type path struct {
	Name     string `json:"name"`
	Group    string `json:"group"`
	Document string `json:"in"`
	Path     string `json:"path"`
	// Absent means that there is nothing at the path.
	Absent bool `json:"absent,omitempty"`
	Outcome
}

func paths(map[string]string) ([]any, error) {
	content, err := cases.ReadFile("cases/gjson.txt")
	if err != nil {
		return nil, err
	}
	var all []any
	var current document
	group, number := "", 0
	for _, line := range strings.Split(strings.TrimSuffix(string(content), "\n"), "\n") {
		switch name, is := strings.CutPrefix(line, "== "); {
		case line == "" || strings.HasPrefix(line, "# "):
		case strings.HasPrefix(line, "json "):
			name, text, _ := strings.Cut(strings.TrimPrefix(line, "json "), " ")
			current = document{name, text}
			all = append(all, current)
		case is && name == group:
		case is:
			group, number = name, 0
		default:
			number++
			found := follow(current.JSON, line)
			found.Name, found.Group = fmt.Sprintf("%s %d", group, number), group
			found.Document, found.Path = current.Document, line
			all = append(all, found)
		}
	}
	return all, nil
}

// follow looks for a key that is written like the path before it takes dots for what they mean.
func follow(json, text string) path {
	found := gjson.Get(json, text)
	if strings.Contains(text, ".") {
		if literal := gjson.Get(json, strings.ReplaceAll(text, ".", `\.`)); literal.Exists() {
			found = literal
		}
	}
	if !found.Exists() {
		return path{Absent: true}
	}
	return path{Outcome: textOf([]byte(found.String()))}
}
