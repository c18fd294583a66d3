package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// execute runs any command under the same promise that `up` gives: it ends when standard input does.
func execute(args []string) int {
	flags := flag.NewFlagSet("exec", flag.ExitOnError)
	pidFile := flags.String("pid-file", "", "write the process id of the command to this `file`")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: controlplane exec [FLAGS] -- CMD [ARGS...]")
		flags.PrintDefaults()
	}
	_ = flags.Parse(args) // ExitOnError
	if flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)

	cmd := exec.Command(flags.Arg(0), flags.Args()[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	c, err := startChild(flags.Arg(0), cmd)
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane exec: %v\n", err)
		return 127
	}
	if *pidFile != "" {
		if err := writeWhole(*pidFile, []byte(strconv.Itoa(c.pid()))); err != nil {
			fmt.Fprintf(os.Stderr, "controlplane exec: %v\n", err)
			c.kill()
			return 1
		}
	}
	ownerGone := watchStdin()
	for {
		select {
		case s := <-signals:
			_ = c.cmd.Process.Signal(s)
		case <-ownerGone:
			c.kill()
			return exitCode(c.cmd.ProcessState)
		case <-c.done:
			// What the command started in its group ends with it.
			_ = syscall.Kill(-c.pid(), syscall.SIGKILL)
			return exitCode(c.cmd.ProcessState)
		}
	}
}

// exitCode follows the shells: 128 and the signal's number for a process that a signal ended.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// watchStdin returns a channel that is closed when whoever holds the other end of standard input has
// closed it or is dead.
func watchStdin() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(gone)
	}()
	return gone
}

// writeWhole writes a file so that a reader sees all of it or none.
func writeWhole(path string, content []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
