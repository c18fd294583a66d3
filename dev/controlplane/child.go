package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A child is a process that cannot outlive this one.
type child struct {
	name string
	cmd  *exec.Cmd
	// done is closed when the process has ended and was waited for.
	done chan struct{}
}

// The parent-death signal is sent when the *thread* that forked ends, so every fork happens on one
// thread that lives as long as the program.
var forks = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for fork := range forks {
			fork()
		}
	}()
}

// startChild starts cmd in a process group of its own, so that a Ctrl-C in a terminal reaches the
// supervisor only, which then stops its children in order.
func startChild(name string, cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	forks <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s does not start: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the outcome is in cmd.ProcessState
		close(c.done)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// kill ends the child and its process group at once and waits until the kernel has buried it.
// Nothing that runs here has state worth saving.
func (c *child) kill() {
	if c == nil {
		return
	}
	_ = syscall.Kill(-c.pid(), syscall.SIGKILL)
	<-c.done
}

// logged sends the output of cmd to a file, appended, so that a restart keeps what went before.
func logged(cmd *exec.Cmd, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = file, file
	return nil
}

// tail returns the last lines of a log, for a message about a process that died.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// componentCommand finds the program of one server: in KUBEBUILDER_ASSETS if that is set, else here.
func componentCommand(name string, args []string) (*exec.Cmd, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		path := filepath.Join(assets, name)
		info, err := os.Stat(path)
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return nil, fmt.Errorf("KUBEBUILDER_ASSETS is %s, but %s is not an executable file: put etcd, "+
				"kube-apiserver and kube-controller-manager there, or unset the variable to use the "+
				"servers that are built from source", assets, path)
		}
		return exec.Command(path, args...), nil
	}
	if !hasComponents {
		return nil, fmt.Errorf("this program was built without %s: set KUBEBUILDER_ASSETS to a "+
			"directory that holds it", name)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(self, append([]string{name}, args...)...), nil
}

// waitUntil polls until the condition returns nil, the deadline passes, or stop says that waiting is
// in vain.
func waitUntil(timeout time.Duration, stop func() error, condition func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if why := stop(); why != nil {
			return why
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still not so after %s: %w", timeout, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
