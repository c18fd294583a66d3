package main

import (
	"crypto/x509"
	"encoding/pem"

	"software.sslmate.com/src/go-pkcs12"
)

// makeFiles has every program write a file, with password and without.
func makeFiles(texts map[string]string) []File {
	var files []File
	add := func(madeBy, password string, content []byte) {
		file := File{MadeBy: madeBy, Password: password, Content: content}
		if key, err := p12Key(password, string(content)); err == nil {
			file.Key = Bytes(key)
		}
		if certificates, err := p12Certificates(password, string(content)); err == nil {
			file.Certificates = Bytes(certificates)
		}
		files = append(files, file)
	}

	must(writeFile("chain.pem", texts["root.crt"]+texts["intermediate.crt"]))
	openssl := func(madeBy, password, key, crt string, args ...string) {
		all := []string{"pkcs12", "-export", "-out", "out.p12", "-inkey", key, "-in", crt, "-passout", "pass:" + password}
		run("openssl", append(all, args...)...)
		add(madeBy, password, read("out.p12"))
	}
	openssl("openssl", "geheim", "rsa.key", "rsa.crt", "-certfile", "chain.pem", "-name", "mine")
	openssl("openssl, no password", "", "rsa.key", "rsa.crt", "-certfile", "chain.pem")
	openssl("openssl -legacy", "geheim", "rsa.key", "rsa.crt", "-certfile", "chain.pem", "-legacy")
	openssl("openssl -legacy, no password", "", "rsa.key", "rsa.crt", "-legacy")
	openssl("openssl, old triple DES", "geheim", "p256.key", "p256.crt", "-legacy",
		"-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES")
	openssl("openssl, RC2 of 128 bits", "geheim", "p256.key", "p256.crt", "-legacy",
		"-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128")
	openssl("openssl, AES-128 and SHA-512", "pässwörd", "p256.key", "p256.crt",
		"-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha512")
	openssl("openssl, no encryption", "geheim", "ed25519.key", "ed25519.crt", "-certpbe", "NONE", "-keypbe", "NONE")
	openssl("openssl, no MAC", "", "p256.key", "p256.crt", "-nomac")
	openssl("openssl, no MAC but a password", "geheim", "p256.key", "p256.crt", "-nomac")
	openssl("openssl, 100,000 iterations", "geheim", "p256.key", "p256.crt", "-iter", "100000")
	openssl("openssl, MAC of SHA-384", "geheim", "p256.key", "p256.crt", "-macalg", "sha384")
	openssl("openssl, a leaf that is not of the chain", "geheim", "other.key", "other.crt", "-certfile", "chain.pem")
	run("openssl", "pkcs12", "-export", "-out", "out.p12", "-nokeys", "-in", "root.crt", "-passout", "pass:geheim")
	add("openssl, no key", "geheim", read("out.p12"))

	run("openssl", "pkcs12", "-export", "-out", "java-in.p12", "-inkey", "rsa.key", "-in", "rsa.crt",
		"-certfile", "chain.pem", "-name", "mine", "-passout", "pass:geheim")
	run("keytool", "-importkeystore", "-srckeystore", "java-in.p12", "-srcstoretype", "PKCS12", "-srcstorepass", "geheim",
		"-destkeystore", "java.p12", "-deststoretype", "PKCS12", "-deststorepass", "geheim", "-noprompt")
	add("keytool", "geheim", read("java.p12"))
	run("keytool", "-J-Dkeystore.pkcs12.legacy", "-importkeystore", "-srckeystore", "java-in.p12", "-srcstoretype",
		"PKCS12", "-srcstorepass", "geheim", "-destkeystore", "java-old.p12", "-deststoretype", "PKCS12",
		"-deststorepass", "geheim", "-noprompt")
	add("keytool, legacy", "geheim", read("java-old.p12"))
	run("keytool", "-importcert", "-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass", "geheim", "-noprompt",
		"-alias", "root", "-file", "root.crt")
	add("keytool, trust store", "geheim", read("trust.p12"))

	chain := []*x509.Certificate{certificate(texts["root.crt"]), certificate(texts["intermediate.crt"])}
	for name, encoder := range map[string]*pkcs12.Encoder{
		"go LegacyRC2": pkcs12.LegacyRC2, "go LegacyDES": pkcs12.LegacyDES,
		"go Modern2023": pkcs12.Modern2023, "go Modern2026": pkcs12.Modern2026,
	} {
		for _, password := range []string{"geheim", ""} {
			content, err := encoder.Encode(parsed(texts["rsa.key"]), certificate(texts["rsa.crt"]), chain, password)
			must(err)
			add(name, password, content)
		}
	}
	content, err := pkcs12.Passwordless.Encode(parsed(texts["p521.key"]), certificate(texts["lower.crt"]), nil, "")
	must(err)
	add("go Passwordless", "", content)
	return files
}

func p12Key(password, content string) (string, error) {
	key, _, _, err := pkcs12.DecodeChain([]byte(content), password)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return block("PRIVATE KEY", der), err
}

func p12Certificates(password, content string) (string, error) {
	_, first, others, err := pkcs12.DecodeChain([]byte(content), password)
	if err != nil {
		return "", err
	}
	text := ""
	for _, one := range append([]*x509.Certificate{first}, others...) {
		text += block("CERTIFICATE", one.Raw)
	}
	if line, err := ordered(text); err == nil {
		text = ""
		for _, one := range line {
			text += block("CERTIFICATE", one.Raw)
		}
	}
	return text, nil
}

func allCertificates(text string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := []byte(text); ; {
		var one *pem.Block
		if one, rest = pem.Decode(rest); one == nil {
			return all, nil
		}
		cert, err := x509.ParseCertificate(one.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, cert)
	}
}
