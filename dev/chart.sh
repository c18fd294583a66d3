#!/usr/bin/env bash
# Copies what the chart takes from crds/, config/ and deploy/ into charts/gabion/files: a chart can read no file outside of it.
# With a folder as argument, copies it there instead.
set -euo pipefail
cd "$(dirname "$0")/.."
files=${1:-charts/gabion/files}

rm -rf "$files/crds" "$files/rbac" "$files/rules" "$files/dashboards"
mkdir -p "$files/crds" "$files/rbac" "$files/rules" "$files/dashboards"
cp crds/*.yaml "$files/crds/"
cp config/rbac/*.yaml "$files/rbac/"
cp config/overlays/namespaces/rbac.yaml "$files/rbac/namespace.yaml"
cp config/overlays/rotation/rbac.yaml "$files/rbac/rotation.yaml"
cp config/overlays/pull-secrets/rbac.yaml "$files/rbac/pull-secrets.yaml"
cp config/overlays/rollouts/rbac.yaml "$files/rbac/rollouts.yaml"
cp config/overlays/rollouts/guard.yaml "$files/rbac/rollouts-guard.yaml"
cp config/overlays/openshift/rbac-dns.yaml "$files/rbac/openshift-dns.yaml"
cp config/overlays/openshift/rbac-finalizers.yaml "$files/rbac/openshift-finalizers.yaml"
cp deploy/prometheus/rules.yaml "$files/rules/"
cp deploy/grafana/gabion.json "$files/dashboards/"
