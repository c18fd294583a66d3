package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "embed"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// Names of the servers: of the programs, and in state.json.
const (
	etcd              = "etcd"
	apiserver         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
)

// How long a server may take before the start counts as failed. Seconds are normal; the rest is for
// a machine that compiles at the same time.
const startTimeout = 90 * time.Second

// A plane is one control plane: three processes and a directory.
type plane struct {
	options                         *options
	dir                             string
	lock                            *os.File
	apiPort, etcdPort, etcdPeerPort int
	client                          *http.Client
	version                         string
	broken                          chan error
	// work counts the goroutines that use the directory and start servers.
	work sync.WaitGroup

	mu       sync.Mutex
	children map[string]*child
	stopping bool
}

func (p *plane) path(name string) string { return filepath.Join(p.dir, name) }
func (p *plane) url() string             { return fmt.Sprintf("https://127.0.0.1:%d", p.apiPort) }
func (p *plane) etcdURL() string         { return fmt.Sprintf("http://127.0.0.1:%d", p.etcdPort) }

// start brings everything up and returns when a client can use it: the default ServiceAccount exists
// and every CRD that was asked for is served.
func (p *plane) start() error {
	if err := writePKI(p.dir, p.apiPort); err != nil {
		return err
	}
	if err := os.WriteFile(p.path("audit-policy.yaml"), auditPolicy, 0o600); err != nil {
		return err
	}
	var err error
	if p.client, err = adminClient(p.path("admin.kubeconfig")); err != nil {
		return err
	}
	if err := p.launch(etcd); err != nil {
		return err
	}
	if err := p.await(etcd, "listens", p.etcdListens); err != nil {
		return err
	}
	if err := p.launch(apiserver); err != nil {
		return err
	}
	if err := p.await(apiserver, "is healthy", p.healthy); err != nil {
		return err
	}
	if p.version, err = p.servedVersion(); err != nil {
		return err
	}
	crds, err := p.createCRDs()
	if err != nil {
		return err
	}
	if err := p.launch(controllerManager); err != nil {
		return err
	}
	for _, crd := range crds {
		if err := p.await(apiserver, "serves "+crd.name, func() error { return p.exists(crd.list) }); err != nil {
			return err
		}
	}
	return p.await(controllerManager, "makes the default ServiceAccount", func() error {
		return p.exists("/api/v1/namespaces/default/serviceaccounts/default")
	})
}

// launch starts one server.
func (p *plane) launch(name string) error {
	cmd, err := componentCommand(name, p.arguments(name))
	if err != nil {
		return err
	}
	if err := logged(cmd, p.path(name+".log")); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return errStopping
	}
	c, err := startChild(name, cmd)
	if err != nil {
		return err
	}
	p.children[name] = c
	return nil
}

func (p *plane) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

func (p *plane) child(name string) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.children[name]
}

// await polls until the condition holds. A server that ends meanwhile ends the wait, with its log.
func (p *plane) await(name, what string, condition func() error) error {
	c := p.child(name)
	dead := func() error {
		if p.isStopping() {
			return errStopping
		}
		if c.ended() {
			return fmt.Errorf("%s ended (%s)", name, c.cmd.ProcessState)
		}
		return nil
	}
	if err := waitUntil(startTimeout, dead, condition); err != nil {
		return fmt.Errorf("waiting until %s %s: %w; its last lines:\n%s", name, what, err,
			tail(p.path(name+".log"), 20))
	}
	return nil
}

// restart starts a server that has ended again, on the port that it had.
func (p *plane) restart(name string) error {
	if p.isStopping() {
		return errStopping
	}
	fmt.Fprintf(os.Stderr, "controlplane up: %s ended; starting it again\n", name)

	// The kernel may hold a port for a while after its owner was killed.
	port := map[string]int{etcd: p.etcdPort, apiserver: p.apiPort}[name]
	stopping := func() error {
		if p.isStopping() {
			return errStopping
		}
		return nil
	}
	if err := waitUntil(startTimeout, stopping, func() error { return portFree(port) }); err != nil {
		return err
	}
	if name == controllerManager {
		// It gives up when the API server is silent for ten seconds.
		if err := waitUntil(startTimeout, stopping, p.healthy); err != nil {
			return err
		}
	}
	if err := p.launch(name); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.saveState()
	return err
}

// stop ends every process and removes the directory. Nothing here is worth an orderly shutdown.
func (p *plane) stop() {
	p.mu.Lock()
	p.stopping = true
	children := p.children
	p.mu.Unlock()
	for _, name := range []string{controllerManager, apiserver, etcd} {
		children[name].kill()
	}
	p.work.Wait()
	if p.options.keep {
		_ = os.Remove(p.path("lock"))
		fmt.Fprintf(os.Stderr, "controlplane up: kept %s\n", p.dir)
	} else {
		_ = os.RemoveAll(p.dir)
	}
	_ = p.lock.Close()
}

// freePorts picks ports on loopback below the range that the kernel gives to outgoing connections,
// so that a server that is started again finds its port free.
func freePorts(count int) ([]int, error) {
	const first, last = 20000, 32000
	var ports []int
	for range 1000 {
		port := first + rand.IntN(last-first)
		if portFree(port) == nil {
			ports = append(ports, port)
		}
		if len(ports) == count {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no free port on 127.0.0.1 between %d and %d", first, last)
}

func portFree(port int) error {
	if port == 0 {
		return nil
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return listener.Close()
}

func (p *plane) etcdListens() error {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", p.etcdPort), time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}
