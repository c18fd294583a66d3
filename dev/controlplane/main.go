// Command controlplane is a Kubernetes control plane for tests and the demo: etcd, kube-apiserver and
// kube-controller-manager in one program, with what is needed to start, watch over and stop them.
//
// Whatever it starts ends with it. `up` and `exec` live until their standard input reaches its end,
// so a test that is killed leaves no process behind: the kernel closes the pipe for it.
package main

import (
	"fmt"
	"os"
	"strconv"
)

const usage = `usage: controlplane COMMAND [ARGS...]

  up [FLAGS]              start a control plane, print one line of JSON when it is ready, and keep it
                          up until standard input ends or SIGTERM or SIGINT comes (up -help)
  exec [FLAGS] -- CMD...  run CMD; kill it when standard input ends, pass signals on to it, and exit
                          with its exit code (exec -help)
  pki DIR PORT            write certificates, keys and kubeconfigs for an API server on 127.0.0.1:PORT
  version                 print the Kubernetes version that was built in

  etcd, kube-apiserver, kube-controller-manager [ARGS...]
                          the component itself, with its own flags
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	command, args := os.Args[1], os.Args[2:]
	switch command {
	case "up":
		os.Exit(up(args))
	case "exec":
		os.Exit(execute(args))
	case "pki":
		os.Exit(pkiCommand(args))
	case "version":
		fmt.Println(builtInVersion())
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
	default:
		if !runComponent(command, args) {
			fmt.Fprintf(os.Stderr, "controlplane: unknown command %q\n\n%s", command, usage)
			os.Exit(2)
		}
	}
}

func pkiCommand(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: controlplane pki DIR PORT")
		return 2
	}
	port, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane pki: %q is not a port\n", args[1])
		return 2
	}
	if err := writePKI(args[0], port); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane pki: %v\n", err)
		return 1
	}
	return 0
}
