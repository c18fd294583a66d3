"""Cases with labels: which problems are really there. 200 manifests and 100 Dockerfiles, the same on every run.

Each problem is put into an application that has none, in several spellings. Beside each there are cases that only look like it.
"""

APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      serviceAccountName: web
      automountServiceAccountToken: false
      securityContext: {{runAsNonRoot: true, runAsUser: 20001, runAsGroup: 20001, fsGroup: 20001, seccompProfile: {{type: RuntimeDefault}}}}
{pod}      containers:
        - name: web
          image: {image}
          imagePullPolicy: Always
          ports: [{{containerPort: 8080}}]
{container}          securityContext: {{{security}}}
          resources: {resources}
{probes}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: web, namespace: shop}}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{{service}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: web, namespace: shop}}
spec: {policy}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: web}}}}, {budget}}}
"""
PROBES = """\
          readinessProbe: {httpGet: {path: /ready, port: 8080}}
          livenessProbe: {httpGet: {path: /live, port: 8080}, periodSeconds: 30}"""
SECURITY = "allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, capabilities: {drop: [ALL]}"
DEFAULTS = {
    "replicas": 3, "pod": "", "container": "", "image": "registry.example/web@sha256:" + "a" * 64, "security": SECURITY,
    "resources": "{requests: {cpu: 100m, memory: 64Mi, ephemeral-storage: 64Mi}, limits: {cpu: 200m, memory: 128Mi, ephemeral-storage: 128Mi}}",
    "probes": PROBES, "service": "selector: {app: web}, ports: [{port: 80, targetPort: 8080}]",
    "policy": "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}",
    "budget": "maxUnavailable: 1",
}


def app(**changes):
    return APP.format(**{**DEFAULTS, **changes})


def role(rule, kind="ClusterRole"):
    return app() + f"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\nrules: [{{{rule}}}]\n---\n" + bound("web", kind + "Binding", kind)


def bound(role_name, kind, role_kind="ClusterRole"):
    return (f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: web, namespace: shop}}\n"
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role_kind}, name: {role_name}}}\n"
        "subjects: [{kind: ServiceAccount, name: web, namespace: shop}]\n")


def binding(role_name):
    return app() + "---\n" + bound(role_name, "ClusterRoleBinding")


def volume(source):
    return {"pod": f"      volumes: [{{name: v, {source}}}]\n", "container": "          volumeMounts: [{name: v, mountPath: /v}]\n"}


def env(name, value):
    return {"container": f"          env: [{{name: {name}, {value}}}]\n"}


def without(text, part):
    assert part in text, part
    return text.replace(part, "")


def manifests():
    """(problems, text)"""
    cases = []

    def add(problem, *texts):
        cases.extend((set([problem]) if problem else set(), text) for text in texts)

    add("privileged", *(app(security=s) for s in (
        "privileged: true, " + without(SECURITY, "allowPrivilegeEscalation: false, ") + ", allowPrivilegeEscalation: true",)))
    cases[-1][0].add("escalation")
    add("escalation", *(app(security=s) for s in (
        without(SECURITY, "allowPrivilegeEscalation: false, "), SECURITY.replace("Escalation: false", "Escalation: true"))))
    add("rofs", *(app(security=s) for s in (
        without(SECURITY, "readOnlyRootFilesystem: true, "), SECURITY.replace("Filesystem: true", "Filesystem: false"))))
    add("capabilities", *(app(security=SECURITY.replace("{drop: [ALL]}", c)) for c in (
        "{drop: [CHOWN]}", "{}", "{drop: [CHOWN], add: [NET_RAW]}", "{add: [NET_RAW]}")))
    add("root", app(security=without(SECURITY, "runAsNonRoot: true, ")).replace("runAsNonRoot: true, runAsUser: 20001, ", ""),
        app(security=SECURITY.replace("NonRoot: true", "NonRoot: false")).replace("runAsNonRoot: true, runAsUser: 20001", "runAsNonRoot: false, runAsUser: 0"),
        app(security=SECURITY + ", runAsUser: 0"))
    add("hostpath", *(app(**volume(s)) for s in (
        "hostPath: {path: /var/run/docker.sock}", "hostPath: {path: /etc}", "hostPath: {path: /, type: Directory}", "hostPath: {path: /proc}")))
    add("host", *(app(pod=f"      {f}: true\n") for f in ("hostNetwork", "hostPID", "hostIPC")))
    add("memory", *(app(resources=r) for r in (
        "{}", "{limits: {cpu: 1, ephemeral-storage: 1Gi}, requests: {cpu: 100m, ephemeral-storage: 1Gi}}",
        "{requests: {cpu: 100m, memory: 64Mi, ephemeral-storage: 1Gi}, limits: {cpu: 1, ephemeral-storage: 1Gi}}")))
    add("tag", *(app(image=i) for i in ("registry.example/web", "registry.example/web:latest", "nginx", "registry.example:5000/web")))
    add("readiness", app(probes="          livenessProbe: {httpGet: {path: /live, port: 8080}}"), app(probes=""),
        app(probes="").replace("          ports: [{containerPort: 8080}]\n", ""),
        app(probes="          startupProbe: {tcpSocket: {port: 8080}}"))
    add("credential", *(app(**env(n, f"value: {v}")) for n, v in (
        ("DB_PASSWORD", "Zx81-kq0Lw7"), ("API_SECRET", "9fQ2mZ7xKp41"), ("DATABASE_URL", "'postgres://app:Zx81kq0Lw7@db/app'"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYzzEXAMPQ"), ("ACCESS_TOKEN", "ghp_Ab3dEf6hIj9lMn2pQr5tUv8xYz1B4c7D0eFg"))))
    add("nodeport", app(service="type: NodePort, selector: {app: web}, ports: [{port: 80}]"),
        app(service="type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]"))
    add("dangling", *(app(service=f"selector: {{{s}}}, ports: [{{port: 80}}]") for s in ("app: wep", "app: web, tier: x", "name: web")))
    add("policy", app(policy="{podSelector: {matchLabels: {app: other}}, policyTypes: [Ingress]}"),
        app(policy="{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}"),
        app(policy="{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}, policyTypes: [Ingress]}"))
    add("budget", app(budget="maxUnavailable: 0"), app(budget="minAvailable: 3"), app(budget="minAvailable: 100%"), app(budget="maxUnavailable: 0%"))
    add("wildcard", *(role(r) for r in (
        "apiGroups: ['*'], resources: ['*'], verbs: ['*']", "apiGroups: [''], resources: [pods], verbs: ['*']",
        "apiGroups: [apps], resources: ['*'], verbs: [get]")))
    cases[-3][0].add("secrets")
    add("secrets", *(role(r) for r in ("apiGroups: [''], resources: [secrets], verbs: [get, list]", "apiGroups: [''], resources: [secrets, pods], verbs: [watch]")))
    add("admin", binding("cluster-admin"), binding("cluster-admin").replace("subjects: [", "subjects: [{kind: Group, name: ops, apiGroup: rbac.authorization.k8s.io}, "))
    ingress = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: web, namespace: shop{a}}}\nspec: {{{t}rules: [{{host: a.example, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    add("tls", app() + ingress.format(a="", t=""), app() + ingress.format(a=", annotations: {nginx.ingress.kubernetes.io/backend-protocol: HTTPS}", t=""),
        app() + ingress.format(a=", annotations: {kubernetes.io/tls-acme: 'true'}", t=""))
    bad = list(cases)
    # What only looks like a problem.
    add(None, app(), app(image="registry.example/latest:1.4"), app(image="registry.example:5000/web:1.4"), app(image="registry.example/web:1.4-latest1"),
        *(app(**env(n, f"value: {v}")) for n, v in (
            ("TOKEN_BUDGET", "'8192'"), ("PASSWORD_HASHER", "bcrypt"), ("SECRET_NAME", "web-tls"), ("PASSWORD_FILE", "/run/secrets/db"),
            ("KEY_PREFIX", "web"), ("AUTH_TOKEN_URL", "'https://auth.example/token'"), ("MAX_TOKENS", "'4096'"), ("REQUIRE_PASSWORD", "'true'"))),
        app(**env("DB_PASSWORD", "valueFrom: {secretKeyRef: {name: web, key: password}}")),
        app(**volume("emptyDir: {}")), app(**volume("configMap: {name: web}")), app(**volume("secret: {secretName: web}")),
        app(pod="      hostNetwork: false\n"), app(security=SECURITY + ", privileged: false"), app(security=SECURITY.replace("[ALL]", "[ALL], add: [NET_BIND_SERVICE]")),
        app(service="clusterIP: None, selector: {app: web}, ports: [{port: 80}]"),
        app(policy="{podSelector: {}, policyTypes: [Ingress, Egress]}"), app(policy="{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, db]}]}, policyTypes: [Ingress, Egress]}"),
        app(budget="minAvailable: 2"), app(budget="minAvailable: 50%"), app(budget="maxUnavailable: 34%"),
        role("apiGroups: [''], resources: [pods], verbs: [get]"), role("apiGroups: ['*'], resources: ['*/scale'], verbs: [get]"),
        role("apiGroups: [''], resources: [secrets], resourceNames: [web], verbs: [get]", "Role"), role("apiGroups: [''], resources: [secrets], verbs: [create]"),
        binding("view"), binding("cluster-admin-viewer"),
        app() + ingress.format(a="", t="tls: [{hosts: [a.example], secretName: web}], "),
        app() + ingress.format(a=", annotations: {networking.gke.io/managed-certificates: web}", t=""),
        app() + ingress.format(a=', annotations: {alb.ingress.kubernetes.io/listen-ports: \'[{"HTTPS": 443}]\'}', t=""))
    return spread(cases, bad, 200)


def spread(cases, bad, wanted):
    """Repeats cases under other names and as other kinds until there are enough."""
    out = list(cases)
    number = 0
    while len(out) < wanted:
        problems, text = cases[number % len(cases)]
        turn = number // len(cases)
        name = ("api", "worker", "store", "cart")[turn % 4]
        changed = text.replace("web", name)
        if turn % 2 == 0 and "replicas: 3" in changed:
            changed = changed.replace("kind: Deployment", "kind: StatefulSet").replace("  replicas: 3", f"  serviceName: {name}\n  replicas: 3")
        out.append((set(problems), changed))
        number += 1
    return out[:wanted]


GOOD = """\
FROM debian:12.7-slim@sha256:{digest}
WORKDIR /srv
COPY app /srv/app
{lines}
USER 10001
ENTRYPOINT ["/srv/app"]
"""


def docker(lines, **more):
    text = GOOD.format(digest="b" * 64, lines=lines)
    for old, new in more.get("change", []):
        assert old in text
        text = text.replace(old, new)
    return text


CLEAN = "rm -rf /var/lib/apt/lists/*"
APT = "RUN apt-get update && apt-get install -y --no-install-recommends curl=7.88.1-10 && " + CLEAN


def dockerfiles():
    """(problems, text)"""
    cases = []

    def add(problems, *lines):
        cases.extend((set(problems.split()), line if line.startswith("FROM") or line.startswith("#") or line.startswith("ARG") and "\nFROM" in line else docker(line)) for line in lines)

    user = [("USER 10001", "USER root")]
    cases.append(({"root"}, docker("", change=user)))
    cases.append(({"root"}, docker("", change=[("USER 10001", "USER 0:0")])))
    cases.append(({"root"}, docker("", change=[("USER 10001\n", "")])))
    cases.append(({"root"}, docker("USER 10001\nRUN id", change=user)))
    cases.append(({"root"}, docker("ENV RUN_AS=0", change=[("USER 10001", "USER $RUN_AS")])))
    cases.append((set(), docker("USER root\nRUN id")))
    cases.append((set(), docker("ENV RUN_AS=10001", change=[("USER 10001", "USER ${RUN_AS}")])))
    for base, bad in (("alpine", True), ("alpine:latest", True), ("registry.example:5000/base", True), ("alpine:3.20", False), ("registry.example:5000/base:1", False)):
        cases.append(({"tag"} if bad else set(), f"FROM {base}\nUSER 10001\nENTRYPOINT [\"/a\"]\n"))
    cases.append((set(), "ARG V=3.20\nFROM alpine:$V\nUSER 10001\n"))
    cases.append(({"tag"}, "ARG V=latest\nFROM alpine:${V}\nUSER 10001\n"))
    cases.append((set(), "FROM alpine:3.20 AS build\nRUN true\nFROM build\nUSER 10001\n"))
    add("leftovers", APT.replace(" && " + CLEAN, ""), f"RUN {CLEAN} && apt-get update && apt-get install -y --no-install-recommends curl=7.88.1-10",
        "RUN apt-get update && apt-get upgrade -y", "RUN pip install flask==3.0.3", "ENV PIP_NO_CACHE_DIR=\nRUN pip install flask==3.0.3",
        "RUN dnf install -y git-2.43", "RUN apk add curl=8.9.1-r1", "RUN sh -c 'apk add curl=8.9.1-r1'")
    add("", APT, "RUN pip install --no-cache-dir flask==3.0.3", "ENV PIP_NO_CACHE_DIR=off\nRUN pip install flask==3.0.3", "ARG PIP_NO_CACHE_DIR=1\nRUN pip install flask==3.0.3",
        "RUN dnf install -y git-2.43 && dnf clean all", "RUN dnf install -y git-2.43 && rm -rf /var/cache/dnf", "RUN apk add --no-cache curl=8.9.1-r1",
        "RUN apk add curl=8.9.1-r1 && rm -rf /var/cache/apk/*", "RUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt " + APT[4:].replace(" && " + CLEAN, ""),
        "RUN --mount=type=cache,target=/cache/pip pip install flask==3.0.3", "RUN <<EOF\n" + APT[4:] + "\nEOF", "RUN cat > /srv/notes <<EOF\napt-get install curl\nEOF")
    add("silent", APT.replace(" -y", ""), "RUN apt-get update && apt-get upgrade --no-install-recommends && " + CLEAN)
    add("extras", APT.replace(" --no-install-recommends", ""), APT.replace(" --no-install-recommends", " -q"))
    add("", APT.replace("-y", "--yes"), APT.replace("-y", "-qy"), APT.replace("install -y", "-y install"), APT.replace("-y --no-install-recommends", "-y -o APT::Install-Recommends=false"))
    add("pin", APT.replace("=7.88.1-10", ""), "RUN pip install --no-cache-dir flask", "RUN apk add --no-cache curl", "RUN npm install -g yarn", "RUN gem install rails")
    add("", "RUN pip install --no-cache-dir -r requirements.txt", "RUN apk add --no-cache curl~8.9", "RUN npm install -g yarn@1.22.22", "RUN npm ci", "RUN gem install rails:7.2.1",
        "RUN pip install --no-cache-dir .", "RUN apt-get update && apt-get install -y --no-install-recommends ./app.deb && " + CLEAN)
    add("sudo", "RUN sudo chown app /srv", "RUN true && sudo -u app id")
    add("", "RUN usermod -aG sudo app", "RUN echo sudo")
    add("command", "CMD [\"a\"]\nCMD [\"b\"]", "ENTRYPOINT [\"/srv/old\"]")
    add("", "CMD [\"a\"]", "FROM alpine:3.20 AS one\nCMD [\"a\"]\nFROM alpine:3.20\nCMD [\"b\"]\nUSER 10001\n")
    add("port", "EXPOSE 70000", "EXPOSE 0")
    add("", "EXPOSE 8080-8090/udp", "ARG PORT=8080\nEXPOSE $PORT", "EXPOSE 8080/TCP")
    add("workdir", "FROM alpine:3.20\nWORKDIR app\nUSER 10001\n", "FROM alpine:3.20\nENV DIR=app\nWORKDIR $DIR\nUSER 10001\n")
    add("", "WORKDIR \"/opt/x\"", "ENV DIR=/opt\nWORKDIR $DIR/x", "WORKDIR ${HOME}")
    add("pipe", "RUN curl -fsSL https://a.example/i.sh | sh", "RUN sh -c \"curl -fsSL https://a.example/i.sh | bash\"", "RUN bash <(curl -s https://a.example/i.sh)",
        "RUN eval \"$(wget -qO- https://a.example/i.sh)\"", "RUN curl -o i.sh https://a.example/i.sh && sh i.sh")
    add("", "RUN curl -s https://a.example/v | python3 -c 'import json, sys; json.load(sys.stdin)'", "RUN curl -fsS https://a.example/health", "RUN echo 'curl x | sh' > /srv/notes",
        "RUN curl -o x https://a.example/x && sha256sum -c x.sum")
    add("credential", "ENV DB_PASSWORD=Zx81-kq0Lw7", "ARG NPM_TOKEN=npm_Ab3dEf6hIj9lMn2pQr5tUv8xYz1B4c7D0eF", "COPY id_ed25519 /srv/", "COPY certs/ca-key.pem /srv/",
        "RUN git clone https://me:Zx81kq0Lw7@git.example/x")
    add("", "ENV DB_PASSWORD_FILE=/run/secrets/db", "COPY certs/ca.pem certs/fullchain.pem /srv/", "COPY id_ed25519.pub /srv/", "RUN --mount=type=secret,id=t cat /run/secrets/t > /dev/null", "ENV TOKEN_BUDGET=8192")
    add("invalid", "FROM alpine:3.20\nRUN cat <<EOF\nx\nUSER 10001\n", "FROM alpine:3.20\nCOPY a\nUSER 10001\n", "FROM alpine:3.20\nENV A=1 B\nUSER 10001\n", "FROM alpine:3.20\nSHELL /bin/sh\nUSER 10001\n")
    add("", "RUN tee /srv/x <<EOF >/dev/null\nEXPOSE 70000\nEOF", "RUN cat <<-'X Y'\n\tUSER root\n\tX Y", "COPY <<a <<b /srv/\n1\na\n2\nb")
    number = 0
    base = len(cases)
    while len(cases) < 100:
        problems, text = cases[number % base]
        cases.append((set(problems), text.replace("/srv", "/opt/app")))
        number += 1
    return cases[:100]
