package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/sprig/v3"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"software.sslmate.com/src/go-pkcs12"
)

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// counting gives the bytes 0, 1, 2 and so on, as the source of the tests does.
type counting struct{ next byte }

func (c *counting) Read(buffer []byte) (int, error) {
	for at := range buffer {
		buffer[at] = c.next
		c.next++
	}
	return len(buffer), nil
}

// ordered is the order from leaf to root, found by key identifiers alone.
func ordered(text string) ([]*x509.Certificate, error) {
	all, err := allCertificates(text)
	if err != nil {
		return nil, err
	}
	parent := make([]int, len(all))
	isParent := make([]bool, len(all))
	for child := range all {
		parent[child] = -1
		for at := range all {
			if at != child && bytes.Equal(all[child].AuthorityKeyId, all[at].SubjectKeyId) {
				parent[child], isParent[at] = at, true
				break
			}
		}
	}
	leaf := -1
	for at := range all {
		if !isParent[at] {
			if leaf >= 0 {
				return nil, errors.New("two leaves")
			}
			leaf = at
		}
	}
	if leaf < 0 {
		return nil, errors.New("no leaf")
	}
	var line []*x509.Certificate
	for at := leaf; at >= 0; at = parent[at] {
		if len(line) == len(all) {
			return nil, errors.New("a cycle")
		}
		line = append(line, all[at])
	}
	return line, nil
}

func filterChain(part, text string) (string, error) {
	line, err := ordered(text)
	if err != nil {
		return "", err
	}
	root := func(c *x509.Certificate) bool {
		return c.AuthorityKeyId == nil || bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId)
	}
	out := ""
	for at, cert := range line {
		first, last := at == 0, at == len(line)-1
		switch {
		case part == "leaf" && first && !root(cert), part == "root" && last && root(cert):
			out += block("CERTIFICATE", cert.Raw)
		case part == "intermediate" && !first:
			if root(cert) {
				return out, nil
			}
			out += block("CERTIFICATE", cert.Raw)
		}
	}
	return out, nil
}

func fromFirstBlock(text string) string {
	if at := strings.Index(text, "-----BEGIN"); at >= 0 {
		return text[at:]
	}
	return text
}

func filterPem(kind, text string) (string, error) {
	rest, out := []byte(fromFirstBlock(text)), ""
	for {
		var one *pem.Block
		one, rest = pem.Decode(rest)
		if one == nil {
			break
		}
		if strings.EqualFold(one.Type, kind) {
			var text bytes.Buffer
			if err := pem.Encode(&text, one); err != nil {
				return "", err
			}
			out += text.String()
		}
	}
	if out == "" && len(rest) > 0 {
		return "", errors.New("junk")
	}
	return out, nil
}

func sans(text string) (string, error) {
	one, _ := pem.Decode([]byte(fromFirstBlock(text)))
	if one == nil {
		return "", errors.New("no PEM")
	}
	cert, err := x509.ParseCertificate(one.Bytes)
	if err != nil {
		return "", err
	}
	all := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	all = append(all, cert.EmailAddresses...)
	for _, link := range cert.URIs {
		all = append(all, link.String())
	}
	return strings.Join(all, "\n"), nil
}

func jwkPem(text string, private bool) (out string, err error) {
	key, err := jwk.ParseKey([]byte(text))
	if err != nil {
		return "", err
	}
	var raw any
	if err := key.Raw(&raw); err != nil {
		return "", err
	}
	if private {
		der, err := x509.MarshalPKCS8PrivateKey(raw)
		return block("PRIVATE KEY", der), err
	}
	der, err := x509.MarshalPKIXPublicKey(raw)
	return block("PUBLIC KEY", der), err
}

func anyKey(text string) (any, error) {
	one, _ := pem.Decode([]byte(text))
	if one == nil {
		return nil, errors.New("no PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(one.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(one.Bytes); err == nil {
		return key, nil
	}
	return x509.ParseECPrivateKey(one.Bytes)
}

func written(crt, key, password string, full bool) (string, error) {
	all, err := allCertificates(crt)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errors.New("no PEM")
	}
	private, err := anyKey(key)
	if err != nil {
		return "", err
	}
	others := all[1:]
	if !full {
		others = nil
	}
	file, err := pkcs12.Modern.WithRand(&counting{}).Encode(private, all[0], others, password)
	return base64.StdEncoding.EncodeToString(file), err
}

func trusted(crts, password string) (string, error) {
	all, err := allCertificates(crts)
	if err != nil {
		return "", err
	}
	file, err := pkcs12.Modern.WithRand(&counting{}).EncodeTrustStore(all, password)
	return base64.StdEncoding.EncodeToString(file), err
}

func oaep(scheme, hash, in, key string) (string, error) {
	if scheme == "None" {
		return in, nil
	}
	if scheme != "RSA-OAEP" {
		return "", errors.New("scheme")
	}
	private, err := anyKey(key)
	if err != nil {
		return "", err
	}
	one, ok := private.(*rsa.PrivateKey)
	if !ok {
		return "", errors.New("not RSA")
	}
	h := sha256.New()
	switch hash {
	case "SHA1":
		h = sha1.New()
	case "SHA512":
		h = sha512.New()
	}
	out, err := rsa.DecryptOAEP(h, nil, one, []byte(in), nil)
	return string(out), err
}

// makeCases asks Go for the result of every call.
func makeCases(texts map[string]string, files []File) []Case {
	var cases []Case
	add := func(function, note string, result func() (string, error), args ...string) {
		one := Case{Function: function, Note: note}
		for _, arg := range args {
			one.Args = append(one.Args, Bytes(arg))
		}
		func() {
			// A panic is an error to a template.
			defer func() { _ = recover() }()
			if out, err := result(); err == nil {
				bytes := Bytes(out)
				one.Want = &bytes
			}
		}()
		cases = append(cases, one)
	}
	addPem(texts, add)
	addChains(texts, add)
	addJwks(texts, add)
	addWritten(texts, add)
	addRsa(texts, add)
	addSprig(texts, add)
	addIssued(texts, add)
	for _, file := range files {
		content := string(file.Content)
		for note, password := range map[string]string{"wrong password": "falsch", "empty password": ""} {
			if password != file.Password {
				add("pkcs12keyPass", file.MadeBy+", "+note, func() (string, error) { return p12Key(password, content) }, password, content)
			}
		}
	}
	return cases
}

type adder func(function, note string, result func() (string, error), args ...string)

func addPem(texts map[string]string, add adder) {
	crt, key := texts["rsa.crt"], texts["rsa.key"]
	lines := strings.SplitAfter(crt, "\n")
	body := strings.Join(lines[1:len(lines)-2], "")
	with := func(header string) string { return lines[0] + header + body + lines[len(lines)-2] }
	inputs := map[string]string{
		"one":                       crt,
		"none of the kind":          key,
		"several":                   key + crt + texts["root.crt"],
		"junk before, between":      "junk\n" + key + "\nmore junk\n" + crt,
		"junk on the line before":   "junk" + crt,
		"junk behind":               crt + "junk",
		"empty":                     "",
		"only junk":                 "junk",
		"blank lines":               "\n\n" + crt + "\n\n" + crt + "\n\n",
		"CRLF":                      strings.ReplaceAll(crt, "\n", "\r\n"),
		"trailing blanks":           strings.ReplaceAll(crt, "\n", " \t\n"),
		"leading blanks":            strings.ReplaceAll(crt, "\n", "\n  "),
		"no line break at the end":  strings.TrimSuffix(crt, "\n"),
		"one long line":             lines[0] + strings.ReplaceAll(body, "\n", "") + "\n" + lines[len(lines)-2],
		"header":                    with("Proc-Type: 4,ENCRYPTED\nDEK-Info: x\n\n"),
		"headers, out of order":     with("B: 2\nA: 1\nProc-Type: x\n\n"),
		"header without blank line": with("B: 2\n"),
		"header with blanks":        with("  B  :  2 : 3 \n\n"),
		"header of nothing":         with(":\n\n"),
		"end of another kind":       strings.Replace(crt, "END CERTIFICATE", "END KEY", 1),
		"begin without end, again":  lines[0] + crt,
		"end without begin, before": lines[len(lines)-2] + crt,
		"bad base64":                strings.Replace(crt, body[:8], "????????", 1),
		"bad base64, then good":     strings.Replace(crt, body[:8], "????????", 1) + key + crt,
		"no padding":                "-----BEGIN CERTIFICATE-----\nYQ\n-----END CERTIFICATE-----\n",
		"loose bits":                "-----BEGIN CERTIFICATE-----\nYR==\n-----END CERTIFICATE-----\n",
		"empty block":               "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
		"empty block with header":   "-----BEGIN CERTIFICATE-----\nA: b\n-----END CERTIFICATE-----\n",
		"blank block":               "-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n",
		"end line with more":        strings.TrimSuffix(crt, "\n") + " x\n",
		"begin line with more":      strings.Replace(crt, "-----\n", "----- x\n", 1),
		"ends that end nothing":     "-----BEGIN A-----\n" + strings.Repeat("\n-----END B-----\n", 3) + crt,
		"colon in the end line":     "-----BEGIN CERTIFICATE-----\nA: b\n-----END CERTIFICATE: x-----\n" + crt,
		"indented":                  "  " + strings.ReplaceAll(crt, "\n", "\n  "),
		"bytes":                     "\xff\xfe" + crt + "\xff",
	}
	for note, input := range inputs {
		add("filterPEM", note, func() (string, error) { return filterPem("certificate", input) }, "certificate", input)
		add("certSANs", note, func() (string, error) { return sans(input) }, input)
	}
	for _, name := range []string{"names.crt", "subject.crt", "root.crt"} {
		add("certSANs", name, func() (string, error) { return sans(texts[name]) }, texts[name])
	}
}

func addChains(texts map[string]string, add adder) {
	chains := map[string][]string{
		"none":                   {},
		"leaf":                   {"rsa.crt"},
		"root":                   {"root.crt"},
		"chain":                  {"rsa.crt", "intermediate.crt", "root.crt"},
		"reversed":               {"root.crt", "intermediate.crt", "rsa.crt"},
		"long":                   {"intermediate.crt", "root.crt", "p256.crt", "lower.crt"},
		"without root":           {"intermediate.crt", "p256.crt", "lower.crt"},
		"without leaf":           {"intermediate.crt", "root.crt"},
		"two leaves":             {"rsa.crt", "p256.crt", "lower.crt", "intermediate.crt"},
		"disjunct":               {"rsa.crt", "intermediate.crt", "other.crt"},
		"with a key":             {"rsa.crt", "rsa.key"},
		"twice the same":         {"rsa.crt", "rsa.crt"},
		"root twice":             {"root.crt", "rsa.crt", "intermediate.crt", "root.crt"},
		"no identifiers":         {"plain.crt"},
		"no identifiers, twice":  {"plain.crt", "plain.crt"},
		"no identifiers, others": {"plain.crt", "rsa.crt", "intermediate.crt"},
	}
	for note, names := range chains {
		text := ""
		for _, name := range names {
			text += texts[name]
		}
		for _, part := range []string{"leaf", "intermediate", "root", "nothing"} {
			add("filterCertChain", note, func() (string, error) { return filterChain(part, text) }, part, text)
		}
	}
	damaged := strings.Replace(texts["rsa.crt"], "MII", "MIA", 1)
	add("filterCertChain", "damaged", func() (string, error) { return filterChain("leaf", damaged) }, "leaf", damaged)
}

func addJwks(texts map[string]string, add adder) {
	both := func(note, text string) {
		add("jwkPublicKeyPem", note, func() (string, error) { return jwkPem(text, false) }, text)
		add("jwkPrivateKeyPem", note, func() (string, error) { return jwkPem(text, true) }, text)
	}
	for _, name := range []string{"rsa", "p256", "p384", "p521", "ed25519"} {
		key, err := jwk.FromRaw(parsed(texts[name+".key"]))
		must(err)
		private := jsonOf(key)
		public, err := key.PublicKey()
		must(err)
		both(name+", private", private)
		both(name+", public", jsonOf(public))
		for _, member := range []string{"p", "q", "dp", "dq", "qi", "n", "e", "x", "y", "d", "crv", "kty"} {
			if strings.Contains(private, `"`+member+`":`) {
				both(name+", without "+member, without(private, member))
				both(name+", public, without "+member, without(without(private, member), "d"))
				both(name+", number as "+member, with(private, member, "7"))
				both(name+", damaged "+member, damage(private, member))
			}
		}
		both(name+", with more", strings.Replace(private, "{", `{"kid":"a","use":"sig","more":{"a":[1]},`, 1))
		both(name+", padded", padded(private))
		both(name+", with white space and more behind", "\n "+private+"\n{}")
		both(name+", null as d", with(private, "d", "null"))
		both(name+", empty d", with(private, "d", `""`))
	}
	for note, text := range map[string]string{
		"symmetric": `{"kty":"oct","k":"AAAA"}`, "not JSON": "key", "empty": "", "list": "[]", "null": "null",
		"set": `{"keys":[]}`, "unknown kind": `{"kty":"XYZ"}`,
		"X25519":    `{"kty":"OKP","crv":"X25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		"secp256k1": `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`,
		"off curve": `{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`,
	} {
		both(note, text)
	}
}

func addWritten(texts map[string]string, add adder) {
	pairs := [][2]string{
		{"rsa.crt", "rsa.key"}, {"rsa.crt", "rsa.pkcs1"}, {"p256.crt", "p256.key"}, {"p256.crt", "p256.sec1"},
		{"ed25519.crt", "ed25519.key"}, {"lower.crt", "p521.sec1"}, {"rsa.crt", "rsa.pub"}, {"rsa.key", "rsa.key"},
		{"intermediate.crt", "p384.sec1"}, {"subject.crt", "other.key"},
	}
	for _, pair := range pairs {
		crt, key, note := texts[pair[0]], texts[pair[1]], pair[0]+" and "+pair[1]
		full := crt + texts["intermediate.crt"] + texts["root.crt"]
		add("pemToPkcs12", note, func() (string, error) { return written(crt, key, "", false) }, crt, key)
		add("pemToPkcs12Pass", note, func() (string, error) { return written(crt, key, "pässwort", false) }, crt, key, "pässwort")
		add("fullPemToPkcs12", note, func() (string, error) { return written(full, key, "", true) }, full, key)
		add("fullPemToPkcs12Pass", note, func() (string, error) { return written(full, key, "geheim", true) }, full, key, "geheim")
		add("pemToPkcs12", note+", chain", func() (string, error) { return written(full, key, "", false) }, full, key)
	}
	crt, key := texts["rsa.crt"], texts["rsa.key"]
	for note, password := range map[string]string{"emoji": "🔒", "not UTF-8": "a\xff", "zero": "a\x00"} {
		add("pemToPkcs12Pass", "password with "+note, func() (string, error) { return written(crt, key, password, false) }, crt, key, password)
	}
	for note, text := range map[string]string{
		"one": texts["root.crt"], "two": texts["root.crt"] + texts["other.crt"], "subject": texts["subject.crt"],
		"names": texts["names.crt"], "a key": texts["rsa.key"], "none": "",
	} {
		add("pemTruststoreToPKCS12", note, func() (string, error) { return trusted(text, "") }, text)
		add("pemTruststoreToPKCS12Pass", note, func() (string, error) { return trusted(text, "geheim") }, text, "geheim")
	}
}

func addRsa(texts map[string]string, add adder) {
	private := parsed(texts["rsa.key"]).(*rsa.PrivateKey)
	for _, hash := range []string{"SHA1", "SHA256", "SHA512", "None", "SHA384", ""} {
		h := sha256.New()
		switch hash {
		case "SHA1":
			h = sha1.New()
		case "SHA512":
			h = sha512.New()
		}
		for _, plain := range []string{"", "geheim", strings.Repeat("x", 100)} {
			in, err := rsa.EncryptOAEP(h, rand.Reader, &private.PublicKey, []byte(plain), nil)
			must(err)
			keys := []string{"rsa.key"}
			if hash == "SHA1" {
				keys = []string{"rsa.key", "rsa.pkcs1", "other.key", "p256.key", "rsa.pub"}
			}
			for _, key := range keys {
				add("rsaDecrypt", hash+" "+key, func() (string, error) { return oaep("RSA-OAEP", hash, string(in), texts[key]) },
					"RSA-OAEP", hash, string(in), texts[key])
			}
		}
	}
	add("rsaDecrypt", "none", func() (string, error) { return oaep("None", "", "plain", "") }, "None", "", "plain", "")
	add("rsaDecrypt", "scheme", func() (string, error) { return oaep("RSA", "", "plain", "") }, "RSA", "", "plain", "")
	add("rsaDecrypt", "short", func() (string, error) { return oaep("RSA-OAEP", "SHA1", "x", texts["rsa.key"]) },
		"RSA-OAEP", "SHA1", "x", texts["rsa.key"])
}

func addSprig(texts map[string]string, add adder) {
	functions := sprig.TxtFuncMap()
	for _, text := range []string{"", "abc", "ü\x00\xff", strings.Repeat("z", 10000)} {
		for _, name := range []string{"sha1sum", "sha256sum", "sha512sum", "adler32sum"} {
			add(name, fmt.Sprint(len(text)), func() (string, error) { return functions[name].(func(string) string)(text), nil }, text)
		}
	}
	encrypt := functions["encryptAES"].(func(string, string) (string, error))
	decrypt := functions["decryptAES"].(func(string, string) (string, error))
	for _, password := range []string{"", "geheim", strings.Repeat("p", 40)} {
		for _, plain := range []string{"", "a", "sixteen bytes...", strings.Repeat("long", 30)} {
			text, err := encrypt(password, plain)
			must(err)
			add("decryptAES", "right", func() (string, error) { return decrypt(password, text) }, password, text)
			if text != "" {
				short := base64.StdEncoding.EncodeToString(make([]byte, 16))
				add("decryptAES", "only a vector", func() (string, error) { return decrypt(password, short) }, password, short)
				add("decryptAES", "cut", func() (string, error) { return decrypt(password, text[:8]) }, password, text[:8])
				add("decryptAES", "other password", func() (string, error) { return decrypt("falsch", text) }, "falsch", text)
			}
		}
	}
	add("decryptAES", "no base64", func() (string, error) { return decrypt("a", "%%") }, "a", "%%")
	derive := functions["derivePassword"].(func(uint32, string, string, string, string) string)
	for _, kind := range []string{"maximum", "long", "medium", "short", "basic", "pin", "none"} {
		add("derivePassword", kind, func() (string, error) { return derive(7, kind, "geheim", "user", "example.com"), nil },
			kind, "geheim", "user", "example.com")
	}
	build := func(crt, key string) (string, error) {
		out := functions["buildCustomCert"]
		return call(out, crt, key)
	}
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, pair := range [][2]string{
		{b64(texts["rsa.crt"]), b64(texts["rsa.key"])}, {b64(texts["rsa.crt"]), b64(texts["rsa.pkcs1"])},
		{b64(texts["p256.crt"]), b64(texts["p256.sec1"])}, {b64(texts["rsa.key"]), b64(texts["rsa.key"])},
		{b64(texts["rsa.crt"]), b64(texts["rsa.pub"])}, {texts["rsa.crt"], b64(texts["rsa.key"])}, {"", ""},
		{b64(texts["rsa.crt"]), b64("key")}, {b64(texts["ed25519.crt"]), b64(texts["ed25519.key"])},
	} {
		add("buildCustomCert", "", func() (string, error) { return build(pair[0], pair[1]) }, pair[0], pair[1])
	}
}
