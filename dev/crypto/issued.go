package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strconv"
	"strings"
	"time"
)

// The tests' source gives this time, and this serial number: the bytes 0 to 15.
var (
	now    = time.Unix(1_770_000_000, 0)
	serial = new(big.Int).SetBytes([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
)

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// issued makes the certificate that sprig asks for. RSA and Ed25519 sign the same bytes alike every time.
func issued(name, addresses, names, days, key, ca, caKey string, authority bool) (string, error) {
	private, err := anyKey(key)
	if err != nil {
		return "", err
	}
	number, err := strconv.Atoi(days)
	must(err)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              list(names),
		NotBefore:             now,
		NotAfter:              now.Add(time.Duration(number) * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, address := range list(addresses) {
		ip := net.ParseIP(address)
		if ip == nil {
			return "", errors.New("no address")
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	if authority {
		template.KeyUsage |= x509.KeyUsageCertSign
		template.IsCA = true
	}
	parent, signer := template, private
	if ca != "" {
		parent = certificate(ca)
		if signer, err = anyKey(caKey); err != nil {
			return "", err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.(crypto.Signer).Public(), signer)
	return block("CERTIFICATE", der), err
}

// addIssued has the arguments as the tests put them together: texts, with commas in lists.
func addIssued(texts map[string]string, add adder) {
	for _, key := range []string{"rsa.pkcs1", "rsa.key", "ed25519.key"} {
		for _, name := range []string{"example.com", "*.example.com", "ü", "", "a\xff"} {
			add("genCAWithKey", key+" "+name, func() (string, error) {
				return issued(name, "", "", "365", texts[key], "", "", true)
			}, name, "365", texts[key])
			add("genSelfSignedCertWithKey", key+" "+name, func() (string, error) {
				return issued(name, "10.0.0.1,2001:db8::1,::ffff:10.0.0.2", "example.com,*.example.org", "365", texts[key], "", "", false)
			}, name, "10.0.0.1,2001:db8::1,::ffff:10.0.0.2", "example.com,*.example.org", "365", texts[key])
		}
	}
	for _, days := range []string{"0", "-1", "1", "8766", "36500"} {
		add("genSelfSignedCertWithKey", days+" days", func() (string, error) {
			return issued("a", "", "", days, texts["rsa.key"], "", "", false)
		}, "a", "", "", days, texts["rsa.key"])
	}
	for note, lists := range map[string][2]string{"bad address": {"10.0.0", ""}, "bad name": {"", "ü"}, "name": {"", "x"}} {
		add("genSelfSignedCertWithKey", note, func() (string, error) {
			return issued("a", lists[0], lists[1], "1", texts["rsa.key"], "", "", false)
		}, "a", lists[0], lists[1], "1", texts["rsa.key"])
	}
	for _, pair := range [][3]string{
		{"root.crt", "root.key", "rsa.pkcs1"}, {"root.crt", "root.pkcs1", "p256.sec1"}, {"root.crt", "root.key", "ed25519.key"},
		{"rsa.crt", "rsa.key", "other.key"}, {"root.crt", "rsa.key", "other.key"}, {"ed25519.crt", "ed25519.key", "p384.key"},
		{"plain.crt", "rsa.key", "p521.key"}, {"rsa.crt", "rsa.key", "rsa.pub"},
	} {
		for _, name := range []string{"web", "root"} {
			ca, caKey, key := texts[pair[0]], texts[pair[1]], texts[pair[2]]
			add("genSignedCertWithKey", strings.Join(pair[:], " "), func() (string, error) {
				return issued(name, "10.0.0.1", "a.example", "90", key, ca, caKey, false)
			}, name, "10.0.0.1", "a.example", "90", ca, caKey, key)
		}
	}
}
