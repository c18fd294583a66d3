package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/Masterminds/sprig/v3"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"sigs.k8s.io/yaml"
	"software.sslmate.com/src/go-pkcs12"
)

// own are the functions that ESO adds to sprig's, written anew from what they are known to do.
var own = map[string]any{
	"toYaml":   toYaml,
	"fromYaml": fromYaml,

	"pkcs12key":      func(in string) (string, error) { return p12Key("", in) },
	"pkcs12keyPass":  p12Key,
	"pkcs12cert":     func(in string) (string, error) { return p12Certs("", in) },
	"pkcs12certPass": p12Certs,

	"pemToPkcs12":               func(crt, key string) (string, error) { return p12Of(crt, key, "", false) },
	"pemToPkcs12Pass":           func(crt, key, pass string) (string, error) { return p12Of(crt, key, pass, false) },
	"fullPemToPkcs12":           func(crt, key string) (string, error) { return p12Of(crt, key, "", true) },
	"fullPemToPkcs12Pass":       func(crt, key, pass string) (string, error) { return p12Of(crt, key, pass, true) },
	"pemTruststoreToPKCS12":     func(crts string) (string, error) { return p12Trust(crts, "") },
	"pemTruststoreToPKCS12Pass": p12Trust,

	"filterPEM":        filterPEM,
	"filterCertChain":  filterCertChain,
	"certSANs":         certSANs,
	"jwkPublicKeyPem":  jwkPublic,
	"jwkPrivateKeyPem": jwkPrivate,
	"rsaDecrypt":       rsaDecrypt,

	"htpasswd": htpasswd,
	"hexdec":   hexdec,
}

// Another one that no published sprig has: a text that is no hexadecimal is answered with the complaint.
func hexdec(text string) string {
	out, err := hex.DecodeString(text)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// A hash is named by a text in the template itself: a value of a field or a variable is of another type.
type hashName string

// The release of sprig that the original carries has a third argument, which the last published one has not.
func htpasswd(user, password string, hash hashName) string {
	if strings.Contains(user, ":") {
		return "invalid username: " + user
	}
	if hash == "sha" {
		sum := sha1.Sum([]byte(password))
		return user + ":{SHA}" + base64.StdEncoding.EncodeToString(sum[:])
	}
	return user + ":" + sprig.TxtFuncMap()["bcrypt"].(func(string) string)(password)
}

// A value that cannot be written is an empty text; the last line break is cut off.
func toYaml(value any) string {
	out, err := yaml.Marshal(value)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(out), "\n")
}

// A text that cannot be read is a map with the key Error.
func fromYaml(text string) map[string]any {
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		out["Error"] = err.Error()
	}
	return out
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func p12Key(pass, in string) (string, error) {
	key, _, _, err := pkcs12.DecodeChain([]byte(in), pass)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return pemOf("PRIVATE KEY", der), nil
}

// The certificate of the key, then the others; in the order of the chain where there is one.
func p12Certs(pass, in string) (string, error) {
	_, first, others, err := pkcs12.DecodeChain([]byte(in), pass)
	if err != nil {
		return "", err
	}
	found := append([]*x509.Certificate{first}, others...)
	if ordered, err := chain(found); err == nil {
		found = ordered
	}
	var out strings.Builder
	for _, certificate := range found {
		out.WriteString(pemOf("CERTIFICATE", certificate.Raw))
	}
	return out.String(), nil
}

// With full, the certificates after the first go in as well; anything after them is an error.
func p12Of(crt, key, pass string, full bool) (string, error) {
	block, rest := pem.Decode([]byte(crt))
	if block == nil {
		return "", errors.New("no certificate in PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	var others []*x509.Certificate
	if full {
		if others, err = certificates(rest); err != nil {
			return "", err
		}
	}
	block, _ = pem.Decode([]byte(key))
	if block == nil {
		return "", errors.New("no key in PEM")
	}
	private, err := privateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	out, err := pkcs12.Modern.Encode(private, certificate, others, pass)
	return base64.StdEncoding.EncodeToString(out), err
}

func p12Trust(crts, pass string) (string, error) {
	all, err := certificates([]byte(crts))
	if err != nil {
		return "", err
	}
	out, err := pkcs12.Modern.EncodeTrustStore(all, pass)
	return base64.StdEncoding.EncodeToString(out), err
}

// certificates takes PEM blocks and nothing else: the original crashes on other text, which Go makes an error of.
func certificates(text []byte) ([]*x509.Certificate, error) {
	all := []*x509.Certificate{}
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("something that is no PEM")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all, text = append(all, certificate), rest
	}
	return all, nil
}

func privateKey(der []byte) (any, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("no private key of a known form")
}

// What is before the first block is cut off, as Go's own decoder once did.
func fromFirstBlock(text string) string {
	if at := strings.Index(text, "-----BEGIN"); at >= 0 {
		return text[at:]
	}
	return text
}

func filterPEM(kind, in string) (string, error) {
	rest := []byte(fromFirstBlock(in))
	var out bytes.Buffer
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if strings.EqualFold(block.Type, kind) {
			if err := pem.Encode(&out, block); err != nil {
				return "", err
			}
		}
	}
	if out.Len() == 0 && len(rest) > 0 {
		return "", errors.New("junk")
	}
	return out.String(), nil
}

// chain orders certificates by their key identifiers: the one that signed no other comes first.
func chain(all []*x509.Certificate) ([]*x509.Certificate, error) {
	signer := make([]int, len(all))
	signs := make([]bool, len(all))
	for i, certificate := range all {
		signer[i] = -1
		for j, other := range all {
			if i != j && bytes.Equal(certificate.AuthorityKeyId, other.SubjectKeyId) {
				signer[i], signs[j] = j, true
				break
			}
		}
	}
	leaf := -1
	for i := range all {
		switch {
		case signs[i]:
		case leaf >= 0:
			return nil, errors.New("more than one leaf")
		default:
			leaf = i
		}
	}
	if leaf < 0 {
		return nil, errors.New("no leaf")
	}
	var ordered []*x509.Certificate
	for at := leaf; at >= 0; at = signer[at] {
		if len(ordered) == len(all) {
			return nil, errors.New("a circle")
		}
		ordered = append(ordered, all[at])
	}
	return ordered, nil
}

func isRoot(certificate *x509.Certificate) bool {
	return certificate.AuthorityKeyId == nil || bytes.Equal(certificate.AuthorityKeyId, certificate.SubjectKeyId)
}

func filterCertChain(kind, in string) (string, error) {
	var all []*x509.Certificate
	for rest := []byte(in); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", err
		}
		all = append(all, certificate)
	}
	ordered, err := chain(all)
	if err != nil {
		return "", err
	}
	first, last := ordered[0], ordered[len(ordered)-1]
	switch {
	case kind == "leaf" && !isRoot(first):
		return pemOf("CERTIFICATE", first.Raw), nil
	case kind == "root" && isRoot(last):
		return pemOf("CERTIFICATE", last.Raw), nil
	case kind == "intermediate":
		out := ""
		for _, certificate := range ordered[1:] {
			if isRoot(certificate) {
				break
			}
			out += pemOf("CERTIFICATE", certificate.Raw)
		}
		return out, nil
	}
	return "", nil
}

func certSANs(in string) ([]string, error) {
	block, _ := pem.Decode([]byte(fromFirstBlock(in)))
	if block == nil {
		return nil, errors.New("no PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	names := append([]string{}, certificate.DNSNames...)
	for _, address := range certificate.IPAddresses {
		names = append(names, address.String())
	}
	names = append(names, certificate.EmailAddresses...)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	return names, nil
}

func jwkRaw(text string) (any, error) {
	key, err := jwk.ParseKey([]byte(text))
	if err != nil {
		return nil, err
	}
	var raw any
	err = key.Raw(&raw)
	return raw, err
}

func jwkPublic(text string) (string, error) {
	raw, err := jwkRaw(text)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(raw)
	if err != nil {
		return "", err
	}
	return pemOf("PUBLIC KEY", der), nil
}

func jwkPrivate(text string) (string, error) {
	raw, err := jwkRaw(text)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(raw)
	if err != nil {
		return "", err
	}
	return pemOf("PRIVATE KEY", der), nil
}

// Any hash that is not known is SHA256.
func rsaDecrypt(scheme, digestName, in, key string) (string, error) {
	if scheme == "None" {
		return in, nil
	}
	if scheme != "RSA-OAEP" {
		return "", fmt.Errorf("scheme %q is not supported", scheme)
	}
	block, _ := pem.Decode([]byte(key))
	if block == nil {
		return "", errors.New("no PEM")
	}
	parsed, err := privateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	private, is := parsed.(*rsa.PrivateKey)
	if !is {
		return "", errors.New("not an RSA key")
	}
	var digest hash.Hash = sha256.New()
	switch digestName {
	case "SHA1":
		digest = sha1.New()
	case "SHA512":
		digest = sha512.New()
	}
	out, err := rsa.DecryptOAEP(digest, nil, private, []byte(in), nil)
	return string(out), err
}
