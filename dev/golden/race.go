package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"text/template"
	"time"
)

// A lap is what Go needs for one template.
type lap struct {
	Name string `json:"name"`
	// Output is what it renders, to be sure that both do the same.
	Output  string  `json:"output"`
	Renders float64 `json:"renders"` // a second
	Parses  float64 `json:"parses"`  // a second
	Bytes   float64 `json:"bytes"`   // allocated by one render
}

// race renders every template of a folder again and again, on one core, and prints how often in a second.
func race(folder string) error {
	runtime.GOMAXPROCS(1)
	content, err := os.ReadFile(filepath.Join(folder, "data.json"))
	if err != nil {
		return err
	}
	var data map[string]string
	if err := json.Unmarshal(content, &data); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.tmpl"))
	if err != nil {
		return err
	}
	laps := []lap{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		made, err := measure(filepath.Base(name), string(text), data)
		if err != nil {
			return err
		}
		laps = append(laps, made)
	}
	return json.NewEncoder(os.Stdout).Encode(laps)
}

func measure(name, text string, data map[string]string) (lap, error) {
	functions := functions()
	parse := func() (*template.Template, error) {
		return template.New(name).Option("missingkey=error").Funcs(functions).Parse(text)
	}
	parsed, err := parse()
	if err != nil {
		return lap{}, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, data); err != nil {
		return lap{}, err
	}
	made := lap{Name: name, Output: out.String()}
	made.Renders, made.Bytes = repeat(func() {
		out := bytes.NewBuffer(nil)
		_ = parsed.Execute(out, data)
	})
	made.Parses, _ = repeat(func() { _, _ = parse() })
	return made, nil
}

// repeat returns how often something can be done in a second, and the bytes that it allocates.
func repeat(do func()) (float64, float64) {
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; {
		do()
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start, times := time.Now(), 0
	for time.Since(start) < 500*time.Millisecond {
		do()
		times++
	}
	spent := time.Since(start)
	runtime.ReadMemStats(&after)
	return float64(times) / spent.Seconds(), float64(after.TotalAlloc-before.TotalAlloc) / float64(times)
}
