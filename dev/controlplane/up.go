package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// repeated is a flag that may be given more than once.
type repeated []string

func (r *repeated) String() string { return strings.Join(*r, " ") }

func (r *repeated) Set(value string) error {
	*r = append(*r, value)
	return nil
}

type options struct {
	keep                  bool
	audit                 bool
	crds                  string
	apiserverArgs         repeated
	controllerManagerArgs repeated
	etcdArgs              repeated
}

func parseUpFlags(args []string) (*options, error) {
	var o options
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	flags.BoolVar(&o.keep, "keep", false, "leave the directory with data, keys and logs behind")
	flags.BoolVar(&o.audit, "audit", true, "write an audit log (level Metadata)")
	flags.StringVar(&o.crds, "crds", "", "create the CustomResourceDefinitions of the YAML files in "+
		"this `directory` before the controller manager starts, so that its garbage collector knows them")
	flags.Var(&o.apiserverArgs, "apiserver-arg", "one more `argument` for kube-apiserver; may be repeated")
	flags.Var(&o.controllerManagerArgs, "controller-manager-arg",
		"one more `argument` for kube-controller-manager; may be repeated")
	flags.Var(&o.etcdArgs, "etcd-arg", "one more `argument` for etcd; may be repeated")
	_ = flags.Parse(args) // ExitOnError
	if flags.NArg() != 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return &o, nil
}

// up starts a control plane and stays until it is told to go. It returns the exit code.
func up(args []string) int {
	o, err := parseUpFlags(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane up: %v\n", err)
		return 2
	}
	// Listen before anything is started, so that nothing can be left behind.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	ownerGone := watchStdin()

	removeAbandoned()
	p, err := newPlane(o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane up: %v\n", err)
		return 1
	}
	defer p.stop()
	ready := make(chan error, 1)
	p.work.Go(func() { ready <- p.start() })

	for {
		select {
		case err := <-ready:
			if err == nil {
				err = p.announce()
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "controlplane up: %v\n", err)
				return 1
			}
			p.watchOver()
		case err := <-p.broken:
			fmt.Fprintf(os.Stderr, "controlplane up: %v\n", err)
			return 1
		case <-signals:
			return 0
		case <-ownerGone:
			return 0
		}
	}
}

// directoryPattern names the directories in the temporary folder. Each holds a file "lock" that is
// locked for as long as its supervisor lives.
const directoryPattern = "gabion-control-plane-*"

func newPlane(o *options) (*plane, error) {
	dir, err := os.MkdirTemp("", directoryPattern)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	return &plane{
		options: o, dir: dir, lock: lock,
		apiPort: ports[0], etcdPort: ports[1], etcdPeerPort: ports[2],
		children: map[string]*child{}, broken: make(chan error, 1),
	}, nil
}

// removeAbandoned deletes the directories of supervisors that were killed outright. A directory made
// with -keep has no lock file and stays.
func removeAbandoned() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), directoryPattern)) // only a bad pattern fails
	for _, dir := range dirs {
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}

// A state is what the owner is told: on standard output when ready, and in the file state.json,
// which is renewed whenever a server was started again and so has another process id.
type state struct {
	Dir        string         `json:"dir"`
	Kubeconfig string         `json:"kubeconfig"`
	URL        string         `json:"url"`
	EtcdURL    string         `json:"etcd_url"`
	AuditLog   string         `json:"audit_log,omitempty"`
	Version    string         `json:"version"`
	Pids       map[string]int `json:"pids"`
}

// saveState writes state.json. The caller holds the lock of p.
func (p *plane) saveState() ([]byte, error) {
	s := state{
		Dir: p.dir, Kubeconfig: p.path("admin.kubeconfig"), URL: p.url(), EtcdURL: p.etcdURL(),
		Version: p.version, Pids: map[string]int{"supervisor": os.Getpid()},
	}
	if p.options.audit {
		s.AuditLog = p.path("audit.log")
	}
	for name, c := range p.children {
		s.Pids[name] = c.pid()
	}
	line, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return line, writeWhole(p.path("state.json"), line)
}

func (p *plane) announce() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return errStopping
	}
	line, err := p.saveState()
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(line))
	return err
}

var errStopping = errors.New("stopping")

// watchOver starts a server again when it ends, and gives up on one that keeps ending.
func (p *plane) watchOver() {
	for _, name := range []string{etcd, apiserver, controllerManager} {
		p.work.Go(func() {
			var ends []time.Time
			for {
				<-p.child(name).done
				ends = append(ends, time.Now())
				if n := len(ends); n > 5 && time.Since(ends[n-6]) < 30*time.Second {
					p.giveUp(fmt.Errorf("%s ended six times within 30 s; its last lines:\n%s",
						name, tail(p.path(name+".log"), 20)))
					return
				}
				if err := p.restart(name); err != nil {
					p.giveUp(err)
					return
				}
			}
		})
	}
}

func (p *plane) giveUp(err error) {
	if errors.Is(err, errStopping) {
		return
	}
	select {
	case p.broken <- err:
	default:
	}
}
