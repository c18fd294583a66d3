"""A cluster to look at: objects in every state, as an operator leaves them. Arguments: kubectl and a kubeconfig."""

import datetime
import json
import subprocess
import sys

KUBECTL = [sys.argv[1], "--kubeconfig", sys.argv[2]]
NOW = datetime.datetime.now(datetime.timezone.utc)
NAMESPACES = ["shop", "payments", "search", "identity", "billing"]
NAMES = (
    "database api-token tls smtp cache webhook-key oauth-client signing-key queue metrics-push license ldap-bind "
    "s3-export session-key sentry"
).split()
ES = {"apiVersion": "external-secrets.io/v1"}
GABION = {"apiVersion": "gabion.dev/v1alpha1"}


def kubectl(*arguments, given=None):
    subprocess.run([*KUBECTL, *arguments], input=given, text=True, check=True, stdout=subprocess.DEVNULL)


def ago(minutes):
    return (NOW - datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ready(well, reason, message, minutes):
    status = "True" if well else "False"
    return [{"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(minutes)}]


def status(kind, name, namespace, value):
    place = ["-n", namespace] if namespace else []
    patch = json.dumps({"status": value})
    kubectl("patch", kind, name, *place, "--subresource=status", "--type=merge", "-p", patch)


def source(namespace, name, property):
    return {"secretKey": property, "remoteRef": {"key": f"prod/{namespace}/{name}", "property": property}}


def external(namespace, name, store):
    spec = {"refreshInterval": "1h", "secretStoreRef": store}
    spec["data"] = [source(namespace, name, property) for property in ("username", "password")]
    return {**ES, "kind": "ExternalSecret", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def hardening(namespace, index):
    baselines = [{"name": "production", "priority": 10, "stage": "Enforce"}] if index < 3 else []
    if index >= 2:
        baselines.append({"name": "staging-tier", "priority": 0, "stage": "Audit"})
    value = {
        "level": "restricted" if index < 3 else "baseline",
        "stage": baselines[0]["stage"],
        "baselines": baselines,
        "heldCount": int(index == 3),
        "conflictCount": int(index == 1),
        "conditions": ready(True, "Applied", "", 3000),
        "values": [
            {"item": "podSecurity.level", "value": "restricted", "baseline": "production", "reason": "highest priority of 2"},
            {"item": "resources.quota.hard[pods]", "value": "50", "baseline": "production", "reason": "lowest of 50 and 80"},
        ],
    }
    if index == 3:
        value["held"] = ["resources.quota.hard[pods]: 63 pods run and the quota would allow 50: raise it, or scale down"]
    if index == 1:
        label = "Namespace label pod-security.kubernetes.io/warn"
        message = "Argo CD writes this label too: take it out of the application"
        value["conflicts"] = [{"object": label, "manager": "argocd-controller", "message": message}]
    meta = {"name": "effective", "namespace": namespace}
    return {**GABION, "kind": "NamespaceHardening", "metadata": meta, "spec": {}, "status": value}


def objects():
    aws = lambda service: {"provider": {"aws": {"service": service, "region": "eu-central-1"}}}
    yield {**ES, "kind": "ClusterSecretStore", "metadata": {"name": "aws-main"}, "spec": aws("SecretsManager")}
    meta = {"name": "parameters", "namespace": "billing"}
    yield {**ES, "kind": "SecretStore", "metadata": meta, "spec": aws("ParameterStore")}
    for namespace in NAMESPACES:
        for index, name in enumerate(NAMES):
            own = namespace == "billing" and index % 3 == 0
            store = {"name": "parameters"} if own else {"name": "aws-main", "kind": "ClusterSecretStore"}
            yield external(namespace, name, store)
    for name in ("production", "staging-tier"):
        spec = {"namespaceSelector": {"matchLabels": {"tier": name}}}
        yield {**GABION, "kind": "HardeningBaseline", "metadata": {"name": name}, "spec": spec}
    for index, namespace in enumerate(NAMESPACES[:4]):
        yield hardening(namespace, index)


FAILING = {
    ("shop", "oauth-client"): "data[0]: AccessDenied: secretsmanager:GetSecretValue is denied to the role gabion",
    ("payments", "signing-key"): 'data[1]: PropertyAbsent: prod/payments/signing-key has no property "password"',
    ("search", "license"): "data[0]: SecretNotFound: there is no secret prod/search/license",
}

for namespace in NAMESPACES:
    kubectl("create", "namespace", namespace)
everything = {"apiVersion": "v1", "kind": "List", "items": list(objects())}
kubectl("apply", "--server-side", "-f", "-", given=json.dumps(everything))
status("css", "aws-main", None, {"conditions": ready(True, "Valid", "", 4000)})
refused = "CredentialsRefused: AWS does not accept the credentials of the ServiceAccount billing/parameters"
status("ss", "parameters", "billing", {"conditions": ready(False, "InvalidProviderConfig", refused, 47)})
for number, (namespace, name) in enumerate((namespace, name) for namespace in NAMESPACES for name in NAMES):
    message, read = FAILING.get((namespace, name), ""), number * 7 % 58
    if namespace == "billing" and NAMES.index(name) % 3 == 0:
        message, read = "its store parameters is not ready", 100
    if (namespace, name) == ("identity", "ldap-bind"):
        read = 221
    reason = "SecretSyncedError" if message else "SecretSynced"
    since = 60 + number * 997 % 9000
    status("es", name, namespace, {"refreshTime": ago(read), "conditions": ready(not message, reason, message, since)})
counts = lambda total, applied, held: {
    "selected": total,
    "applied": applied,
    "held": held,
    "byStage": {},
}
production = {"stage": "Enforce", "level": "restricted", "policyRevision": "6f1c0b9d", "namespaces": counts(3, 3, 0)}
staging = {"stage": "Audit", "level": "baseline", "policyRevision": "a07d22e4", "namespaces": counts(2, 1, 1)}
status("hb", "production", None, {**production, "conditions": ready(True, "Applied", "All are as it says.", 3000)})
status("hb", "staging-tier", None, {**staging, "conditions": ready(False, "Held", "1 namespace is held back.", 300)})
