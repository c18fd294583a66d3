package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// A Table is a list of texts or words and, after it, templates that are rendered for each of them. It is written in
// two forms, a list and templates, so that the file stays small.
type tableList struct {
	// Texts are what templates see as .v; those that start with base64: are no UTF-8.
	Texts []string `json:"texts,omitempty"`
	// Words stand in the place of each §.
	Words []string `json:"words,omitempty"`
}

type tableRow struct {
	Template string `json:"template"`
	// Outcomes has one entry for each of the list before: =TEXT, base64:TEXT, or ! and the class of an error.
	Outcomes []string `json:"outcomes"`
}

// tables reads cases/tables.txt, whose top explains its form.
func tables(map[string]string) ([]any, error) {
	const name = "tables.txt"
	content, err := cases.ReadFile("cases/" + name)
	if err != nil {
		return nil, err
	}
	var all []any
	var list tableList
	for at, line := range strings.Split(strings.TrimSuffix(string(content), "\n"), "\n") {
		kind, entries, _ := strings.Cut(line, " ")
		var into *[]string
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case kind == "texts":
			list = tableList{}
			into = &list.Texts
		case kind == "words":
			list = tableList{}
			into = &list.Words
		default:
			row, err := list.row(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, at+1, err)
			}
			all = append(all, row)
			continue
		}
		if err := json.Unmarshal([]byte(entries), into); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, at+1, err)
		}
		all = append(all, list)
	}
	return all, nil
}

func (l tableList) row(text string) (tableRow, error) {
	row := tableRow{Template: text}
	for _, value := range l.Texts {
		if encoded, binary := strings.CutPrefix(value, "base64:"); binary {
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return row, err
			}
			value = string(decoded)
		}
		row.add(render(text, nil, map[string]string{"v": value}))
	}
	for _, word := range l.Words {
		row.add(render(strings.ReplaceAll(text, "§", word), nil, nil))
	}
	return row, nil
}

func (r *tableRow) add(outcome Outcome) {
	switch {
	case outcome.Want != nil:
		r.Outcomes = append(r.Outcomes, "="+*outcome.Want)
	case outcome.Want64 != nil:
		r.Outcomes = append(r.Outcomes, "base64:"+*outcome.Want64)
	default:
		r.Outcomes = append(r.Outcomes, "!"+outcome.Error)
	}
}
