package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"software.sslmate.com/src/go-pkcs12"
)

func readFixtures(path string) (map[string]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var fixtures map[string]string
	return fixtures, json.Unmarshal(content, &fixtures)
}

// writeFixtures makes keys and certificates that protect nothing: they are committed, so that the vectors stay
// what they are.
func writeFixtures(path string) error {
	out := map[string]string{}
	if err := makeFixtures(out); err != nil {
		return err
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

var serial int64

// issue makes a certificate; without an issuer it is signed with its own key.
func issue(name string, key crypto.Signer, issuer *x509.Certificate, issuerKey crypto.Signer, change func(*x509.Certificate)) (*x509.Certificate, error) {
	serial++
	request := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2044, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true,
	}
	change(request)
	if issuer == nil {
		issuer, issuerKey = request, key
	}
	der, err := x509.CreateCertificate(rand.Reader, request, issuer, key.Public(), issuerKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func makeFixtures(out map[string]string) error {
	authority := func(request *x509.Certificate) { request.IsCA = true }
	plain := func(request *x509.Certificate) { request.SubjectKeyId = []byte{byte(serial), 1, 2, 3} }
	bare := func(*x509.Certificate) {}
	rootKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	interKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leafKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	root, err := issue("Root", rootKey, nil, nil, authority)
	if err != nil {
		return err
	}
	inter, err := issue("Intermediate", interKey, root, rootKey, authority)
	if err != nil {
		return err
	}
	leaf, err := issue("leaf.example", leafKey, inter, interKey, plain)
	if err != nil {
		return err
	}
	self, err := issue("self.example", ecKey, nil, nil, plain)
	if err != nil {
		return err
	}
	ed, err := issue("ed.example", edKey, nil, nil, plain)
	if err != nil {
		return err
	}
	unnamed, err := issue("unnamed.example", leafKey, inter, interKey, bare)
	if err != nil {
		return err
	}
	sans, err := issue("sans.example", ecKey, root, rootKey, func(request *x509.Certificate) {
		request.DNSNames = []string{"a.example", "*.b.example"}
		request.IPAddresses = []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}
		request.EmailAddresses = []string{"x@example.com"}
		request.URIs = []*url.URL{{Scheme: "spiffe", Host: "cluster", Path: "/ns/a b"}}
	})
	if err != nil {
		return err
	}
	crt := func(all ...*x509.Certificate) string {
		text := ""
		for _, certificate := range all {
			text += pemOf("CERTIFICATE", certificate.Raw)
		}
		return text
	}
	out["root.crt"], out["intermediate.crt"], out["leaf.crt"] = crt(root), crt(inter), crt(leaf)
	out["ec.crt"], out["ed25519.crt"], out["sans.crt"] = crt(self), crt(ed), crt(sans)
	out["chain.pem"], out["chain-shuffled.pem"] = crt(leaf, inter, root), crt(root, leaf, inter)
	out["disjunct.pem"] = crt(leaf, self)
	// Without a key identifier of its own, a leaf looks like the signer of a root without one.
	out["chain-unnamed.pem"] = crt(unnamed, inter, root)
	for name, key := range map[string]crypto.Signer{"root.key": rootKey, "leaf.key": leafKey, "rsa.key": leafKey, "ec.key": ecKey, "ed25519.key": edKey} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		out[name] = pemOf("PRIVATE KEY", der)
	}
	out["rsa-pkcs1.key"] = pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(leafKey))
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		return err
	}
	out["ec-sec1.key"] = pemOf("EC PRIVATE KEY", sec1)
	out["mixed.pem"] = "Some text before\n" + out["leaf.key"] + "text between\n" + crt(leaf, inter) + pemOf("X509 CRL", []byte("not one")) + "and after\n"
	out["headers.pem"] = string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00", "A": "b"}, Bytes: []byte("sealed"),
	}))
	if err := makeJwks(out, leafKey, ecKey, edKey); err != nil {
		return err
	}
	for name, digest := range map[string]hash.Hash{"oaep-sha1.bin": sha1.New(), "oaep-sha256.bin": sha256.New(), "oaep-sha512.bin": sha512.New()} {
		sealed, err := rsa.EncryptOAEP(digest, rand.Reader, &leafKey.PublicKey, []byte("sealed with "+name), nil)
		if err != nil {
			return err
		}
		out[name] = base64.StdEncoding.EncodeToString(sealed)
	}
	return makePkcs12(out, leafKey, ecKey, edKey, leaf, inter, root, self, ed)
}

func makeJwks(out map[string]string, rsaKey *rsa.PrivateKey, ecKey *ecdsa.PrivateKey, edKey ed25519.PrivateKey) error {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return err
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		return err
	}
	for name, key := range map[string]crypto.Signer{"rsa": rsaKey, "ec": ecKey, "p384": p384, "p521": p521, "ed25519": edKey} {
		for kind, raw := range map[string]any{"private": key, "public": key.Public()} {
			parsed, err := jwk.FromRaw(raw)
			if err != nil {
				return err
			}
			text, err := json.Marshal(parsed)
			if err != nil {
				return err
			}
			out[fmt.Sprintf("jwk-%s-%s.json", name, kind)] = string(text)
		}
	}
	return nil
}

func makePkcs12(out map[string]string, leafKey *rsa.PrivateKey, ecKey *ecdsa.PrivateKey, edKey ed25519.PrivateKey, leaf, inter, root, self, ed *x509.Certificate) error {
	for _, file := range []struct {
		name    string
		encoder *pkcs12.Encoder
		key     any
		crt     *x509.Certificate
		others  []*x509.Certificate
		pass    string
	}{
		{"rsa-nopass", pkcs12.Passwordless, leafKey, leaf, nil, ""},
		{"ec-nopass", pkcs12.Passwordless, ecKey, self, nil, ""},
		{"ed25519-nopass", pkcs12.Passwordless, edKey, ed, nil, ""},
		{"rsa-emptypass", pkcs12.Modern, leafKey, leaf, nil, ""},
		{"rsa-modern", pkcs12.Modern, leafKey, leaf, nil, "1234"},
		{"rsa-legacy", pkcs12.LegacyRC2, leafKey, leaf, nil, "1234"},
		{"rsa-des", pkcs12.LegacyDES, leafKey, leaf, nil, "1234"},
		{"chain-modern", pkcs12.Modern, leafKey, leaf, []*x509.Certificate{inter, root}, "pässwörd"},
		{"chain-shuffled", pkcs12.Modern, leafKey, leaf, []*x509.Certificate{root, inter}, "1234"},
		{"chain-disjunct", pkcs12.Modern, leafKey, leaf, []*x509.Certificate{self, root}, "1234"},
	} {
		made, err := file.encoder.Encode(file.key, file.crt, file.others, file.pass)
		if err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
		out[file.name+".p12"] = base64.StdEncoding.EncodeToString(made)
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{root}, "1234")
	if err != nil {
		return err
	}
	out["truststore.p12"] = base64.StdEncoding.EncodeToString(trust)
	return opensslPkcs12(out)
}

// opensslPkcs12 makes two files with the program that most people make theirs with.
func opensslPkcs12(out map[string]string) error {
	folder, err := os.MkdirTemp("", "golden")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	in := filepath.Join(folder, "in.pem")
	if err := os.WriteFile(in, []byte(out["leaf.key"]+out["leaf.crt"]+out["intermediate.crt"]), 0o600); err != nil {
		return err
	}
	for name, more := range map[string]string{"openssl-modern.p12": "", "openssl-legacy.p12": "-legacy"} {
		args := strings.Fields("pkcs12 -export -passout pass:1234 -name leaf -in " + in + " " + more)
		made := exec.Command("openssl", args...)
		var errors bytes.Buffer
		made.Stderr = &errors
		file, err := made.Output()
		if err != nil {
			return fmt.Errorf("openssl: %w: %s", err, errors.String())
		}
		out[name] = base64.StdEncoding.EncodeToString(file)
	}
	return nil
}
