#!/usr/bin/env python3
"""Writes manifests for the figures of `gabion check`: the same bytes each time.

    bench/manifests.py FOLDER [COUNT]

COUNT (1000) files of about 5 KB, each a Deployment with three containers, its Service and a ConfigMap, in
block style with comments. Every seventh breaks a few controls.
"""

import pathlib
import sys

CONTAINER = """\
        # The {name} of the workload.
        - name: {name}
          image: registry.example/shop/{name}:1.{number}.0
          ports:
            - {{name: http, containerPort: 80{index}0}}
          env:
            - name: LOG_LEVEL
              value: INFO
            - name: LOG_FORMAT
              value: json
            - name: DATABASE_PASSWORD_FILE
              value: /run/secrets/db_password
            - name: REGION
              valueFrom:
                configMapKeyRef: {{name: web-{number}, key: region}}
          resources:
            limits: {{memory: 512Mi, cpu: 500m, ephemeral-storage: 1Gi}}
            requests: {{memory: 256Mi, cpu: 250m, ephemeral-storage: 500Mi}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: {read_only}
            capabilities:
              drop: [ALL]
          livenessProbe:
            httpGet: {{path: /healthz, port: http}}
          readinessProbe:
            httpGet: {{path: /readyz, port: http}}
          volumeMounts:
            - name: tmp-{name}
              mountPath: /tmp
"""

HEAD = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{number}
  namespace: shop
  labels:
    app.kubernetes.io/name: web-{number}
    app.kubernetes.io/part-of: shop
spec:
  replicas: 3
  selector:
    matchLabels:
      app.kubernetes.io/name: web-{number}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: web-{number}
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 1001
        runAsGroup: 1001
        fsGroup: 1001
        seccompProfile:
          type: RuntimeDefault
      containers:
"""

TAIL = """\
      volumes:
        - name: tmp-web
          emptyDir: {{}}
        - name: tmp-cache
          emptyDir: {{}}
        - name: tmp-worker
          emptyDir: {{}}
---
apiVersion: v1
kind: Service
metadata:
  name: web-{number}
  namespace: shop
spec:
  selector:
    app.kubernetes.io/name: web-{number}
  ports:
    - name: http
      port: 80
      targetPort: http
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: web-{number}
  namespace: shop
data:
  region: eu-1
  text: |
{text}"""


def manifest(number: int) -> str:
    read_only = "false" if number % 7 == 0 else "true"
    parts = [HEAD.format(number=number)]
    for index, name in enumerate(["web", "cache", "worker"]):
        parts.append(CONTAINER.format(name=name, number=number, index=index + 8, read_only=read_only))
    text = "".join(f"    line {line} of the settings of web-{number}\n" for line in range(15))
    parts.append(TAIL.format(number=number, text=text))
    return "".join(parts)


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    folder.mkdir(parents=True, exist_ok=True)
    size = 0
    for number in range(count):
        text = manifest(number)
        size += len(text)
        (folder / f"web-{number:05}.yaml").write_text(text)
    print(f"{count} files, {size / count / 1000:.1f} KB each")


if __name__ == "__main__":
    main()
