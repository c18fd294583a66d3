package main

import (
	"fmt"
	"strings"
)

// controllers are those that Gabion's work touches. There is no scheduler and no kubelet: pods stay
// Pending.
var controllers = []string{
	"namespace-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"garbage-collector-controller",
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"clusterrole-aggregation-controller",
	"validatingadmissionpolicy-status-controller",
	"deployment-controller",
	"replicaset-controller",
}

func (p *plane) arguments(name string) []string {
	switch name {
	case etcd:
		return append(p.etcdArguments(), p.options.etcdArgs...)
	case apiserver:
		return append(p.apiserverArguments(), p.options.apiserverArgs...)
	default:
		return append(p.controllerManagerArguments(), p.options.controllerManagerArgs...)
	}
}

func (p *plane) etcdArguments() []string {
	peer := fmt.Sprintf("http://127.0.0.1:%d", p.etcdPeerPort)
	return []string{
		"--name=local", "--data-dir=" + p.path("etcd"),
		"--listen-client-urls=" + p.etcdURL(), "--advertise-client-urls=" + p.etcdURL(),
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=local=" + peer,
		// The data need not survive the machine.
		"--unsafe-no-fsync=true",
		"--quota-backend-bytes=4294967296", "--auto-compaction-mode=periodic", "--auto-compaction-retention=5m",
		"--log-level=warn",
	}
}

func (p *plane) apiserverArguments() []string {
	args := []string{
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.apiPort),
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--etcd-servers=" + p.etcdURL(),
		"--tls-cert-file=" + p.path("apiserver.crt"), "--tls-private-key-file=" + p.path("apiserver.key"),
		"--client-ca-file=" + p.path("ca.crt"), "--anonymous-auth=false", "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + p.path("service-account.pub"),
		"--service-account-signing-key-file=" + p.path("service-account.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		// Privileged pods are valid, as in real clusters: admission decides, not the validation.
		"--allow-privileged=true",
		"--profiling=false",
	}
	if p.options.audit {
		args = append(args,
			"--audit-policy-file="+p.path("audit-policy.yaml"), "--audit-log-path="+p.path("audit.log"),
			// In MiB. The default of 0 means 100, after which a reader would miss what was rotated.
			"--audit-log-maxsize=8192")
	}
	return args
}

func (p *plane) controllerManagerArguments() []string {
	return []string{
		"--kubeconfig=" + p.path("controller-manager.kubeconfig"),
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + p.path("service-account.key"),
		"--root-ca-file=" + p.path("ca.crt"),
		"--leader-elect=false",
		// No port: nobody asks for its health or its metrics.
		"--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
}
