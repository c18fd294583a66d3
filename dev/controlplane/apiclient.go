package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sigs.k8s.io/yaml"
)

// adminClient speaks to the API server with the certificate in a kubeconfig that writePKI wrote.
func adminClient(path string) (*http.Client, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				CA []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(config.Clusters[0].Cluster.CA)
	certificate, err := tls.X509KeyPair(config.Users[0].User.Certificate, config.Users[0].User.Key)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: pool, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		}},
	}, nil
}

// call sends one request and returns the body. A status outside 2xx is an error with the server's
// own words.
func (p *plane) call(method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, p.url()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		var status struct{ Message string }
		if json.Unmarshal(answer, &status) != nil || status.Message == "" {
			status.Message = string(bytes.TrimSpace(answer))
		}
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, status.Message)
	}
	return answer, nil
}

func (p *plane) healthy() error { return p.exists("/healthz") }

func (p *plane) exists(path string) error {
	_, err := p.call(http.MethodGet, path, nil)
	return err
}

func (p *plane) servedVersion() (string, error) {
	answer, err := p.call(http.MethodGet, "/version", nil)
	if err != nil {
		return "", err
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	return version.GitVersion, json.Unmarshal(answer, &version)
}

// A crd is a CustomResourceDefinition that was created: its name, and where its objects are listed.
type crd struct{ name, list string }

// createCRDs creates every CustomResourceDefinition in the YAML files of the -crds directory.
func (p *plane) createCRDs() ([]crd, error) {
	if p.options.crds == "" {
		return nil, nil
	}
	if _, err := os.Stat(p.options.crds); err != nil {
		return nil, fmt.Errorf("-crds: %w", err)
	}
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, err := filepath.Glob(filepath.Join(p.options.crds, pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	var created []crd
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, document := range bytes.Split(append([]byte("\n"), content...), []byte("\n---")) {
			c, err := p.createCRD(document)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if c != nil {
				created = append(created, *c)
			}
		}
	}
	return created, nil
}

// createCRD creates one; a document of another kind, or an empty one, is passed over.
func (p *plane) createCRD(document []byte) (*crd, error) {
	object, err := yaml.YAMLToJSON(document)
	if err != nil {
		return nil, err
	}
	var definition struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			Group string `json:"group"`
			Names struct {
				Plural string `json:"plural"`
			} `json:"names"`
			Versions []struct {
				Name   string `json:"name"`
				Served bool   `json:"served"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(object, &definition); err != nil || definition.Kind != "CustomResourceDefinition" {
		return nil, err
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	if _, err := p.call(http.MethodPost, path, object); err != nil {
		return nil, err
	}
	for _, version := range definition.Spec.Versions {
		if version.Served {
			return &crd{definition.Metadata.Name, fmt.Sprintf("/apis/%s/%s/%s?limit=1",
				definition.Spec.Group, version.Name, definition.Spec.Names.Plural)}, nil
		}
	}
	return nil, fmt.Errorf("%s serves no version", definition.Metadata.Name)
}
