// Command crypto writes crates/gotemplate/tests/fixtures/crypto.json: keys, certificates and PKCS#12 files that OpenSSL, keytool
// and Go have made, and what the libraries that external-secrets uses make of them. Nothing in it protects
// anything. Run it as `go run . > ../../crates/gotemplate/tests/fixtures/crypto.json`; every run makes new keys.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// A File is a PKCS#12 file that some program wrote.
type File struct {
	MadeBy   string `json:"made_by"`
	Password string `json:"password"`
	Content  []byte `json:"content"`
	// PEM, empty where Go refuses the file.
	Key          Bytes `json:"key"`
	Certificates Bytes `json:"certificates"`
}

// A Case is a call of a function of templates and its result: bytes, or none if it is an error.
type Case struct {
	Function string  `json:"function"`
	Note     string  `json:"note"`
	Args     []Bytes `json:"args"`
	Want     *Bytes  `json:"want"`
}

// Bytes are written as text with the names of texts in place of them, "<rsa.crt>", or as base64; a file that was
// written before as its number.
type Bytes string

var (
	texts = map[string]string{}
	files = map[string]int{}
)

// MarshalJSON says by its first character which it is.
func (b Bytes) MarshalJSON() ([]byte, error) {
	text := string(b)
	if at, isFile := files[text]; isFile {
		return json.Marshal(fmt.Sprint("#", at))
	}
	for name, whole := range texts {
		text = strings.ReplaceAll(text, whole, "<"+name+">")
	}
	if !utf8.ValidString(text) {
		return json.Marshal("=" + base64.StdEncoding.EncodeToString([]byte(b)))
	}
	return json.Marshal("'" + text)
}

// Fixtures is all that is written.
type Fixtures struct {
	Texts map[string]string `json:"texts"`
	Files []File            `json:"files"`
	Cases []Case            `json:"cases"`
}

func main() {
	work, err := os.MkdirTemp("", "crypto")
	must(err)
	defer os.RemoveAll(work)
	must(os.Chdir(work))

	out := Fixtures{Texts: texts}
	makeKeys(out.Texts)
	makeCertificates(out.Texts)
	for name, text := range out.Texts {
		must(os.WriteFile(name, []byte(text), 0o600))
	}
	out.Files = makeFiles(out.Texts)
	for at, file := range out.Files {
		files[string(file.Content)] = at
	}
	out.Cases = makeCases(out.Texts, out.Files)

	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	must(encoder.Encode(out))
	for _, file := range out.Files {
		fmt.Fprintf(os.Stderr, "%-40s %5d bytes, read by Go: %v\n", file.MadeBy, len(file.Content), file.Key != "")
	}
	fmt.Fprintln(os.Stderr, len(out.Cases), "cases")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func run(name string, args ...string) {
	command := exec.Command(name, args...)
	if out, err := command.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s %v: %v\n%s", name, args, err, out))
	}
}

func read(path string) []byte {
	content, err := os.ReadFile(filepath.Clean(path))
	must(err)
	return content
}
