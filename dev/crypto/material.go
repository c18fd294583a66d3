package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"time"
)

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func makeKeys(texts map[string]string) {
	for _, name := range []string{"rsa", "root", "other"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		must(err)
		texts[name+".pkcs1"] = block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
		addPkcs8(texts, name, key)
	}
	for name, curve := range map[string]elliptic.Curve{
		"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521(),
	} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		sec1, err := x509.MarshalECPrivateKey(key)
		must(err)
		texts[name+".sec1"] = block("EC PRIVATE KEY", sec1)
		addPkcs8(texts, name, key)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	addPkcs8(texts, "ed25519", key)
}

func addPkcs8(texts map[string]string, name string, key crypto.Signer) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	texts[name+".key"] = block("PRIVATE KEY", der)
	der, err = x509.MarshalPKIXPublicKey(key.Public())
	must(err)
	texts[name+".pub"] = block("PUBLIC KEY", der)
}

func parsed(text string) any {
	der, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKCS8PrivateKey(der.Bytes)
	must(err)
	return key
}

func certificate(text string) *x509.Certificate {
	der, _ := pem.Decode([]byte(text))
	cert, err := x509.ParseCertificate(der.Bytes)
	must(err)
	return cert
}

// makeCertificates makes a chain root <- intermediate <- one leaf per key, and what is no part of it.
func makeCertificates(texts map[string]string) {
	serial := int64(0)
	issue := func(name, key, issuer, issuerKey string, change func(*x509.Certificate)) {
		serial++
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: name, Organization: []string{"Gabion"}},
			NotBefore:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			NotAfter:     time.Date(2056, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		if change != nil {
			change(template)
		}
		parent := template
		if issuer != "" {
			parent = certificate(texts[issuer+".crt"])
		}
		signer := parsed(texts[issuerKey+".key"]).(crypto.Signer)
		public := parsed(texts[key+".key"]).(crypto.Signer).Public()
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
		must(err)
		texts[name+".crt"] = block("CERTIFICATE", der)
	}
	ca := func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }
	issue("root", "root", "", "root", func(c *x509.Certificate) {
		ca(c)
		c.SubjectKeyId = []byte{1, 2, 3}
		c.AuthorityKeyId = c.SubjectKeyId
	})
	issue("intermediate", "p384", "root", "root", ca)
	issue("lower", "p521", "intermediate", "p384", ca)
	issue("rsa", "rsa", "intermediate", "p384", nil)
	issue("p256", "p256", "lower", "p521", nil)
	issue("ed25519", "ed25519", "root", "root", nil)
	issue("other", "other", "", "other", ca)
	issue("plain", "rsa", "", "rsa", nil) // no key identifiers at all
	issue("names", "p256", "intermediate", "p384", func(c *x509.Certificate) {
		link, err := url.Parse("spiffe://cluster.local/ns/a/sa/b")
		must(err)
		c.URIs = []*url.URL{link}
		c.DNSNames = []string{"example.com", "*.example.org"}
		c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1), net.ParseIP("2001:db8::1")}
		c.EmailAddresses = []string{"ops@example.com"}
	})
	issue("subject", "p256", "intermediate", "p384", func(c *x509.Certificate) {
		c.Subject = pkix.Name{
			CommonName:         " a,b+c \"d\" é#",
			Country:            []string{"DE", "FR"},
			Organization:       []string{"O <1>", "#2"},
			OrganizationalUnit: []string{"U;\\"},
			SerialNumber:       "7",
			ExtraNames: []pkix.AttributeTypeAndValue{
				{Type: []int{0, 9, 2342, 19200300, 100, 1, 25}, Value: "example"},
				{Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: "a*b@example.com"},
			},
		}
	})
}
