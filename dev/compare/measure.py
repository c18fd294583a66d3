#!/usr/bin/env python3
"""Compares `gabion check` with other tools on cases whose problems are known. See README.md."""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import tempfile
import time

import cases

# What each tool claims to find, by its own names. A tool is asked only for what it claims.
GABION = {
    "privileged": ["PSS-privileged"], "escalation": ["PSS-allowPrivilegeEscalation"], "rofs": ["HB-ROFS"],
    "capabilities": ["PSS-capabilities_restricted", "PSS-capabilities_baseline"], "root": ["PSS-runAsNonRoot", "PSS-runAsUser", "HB-UID", "HB-DF-USER"],
    "hostpath": ["PSS-hostPathVolumes", "PSS-restrictedVolumes"], "host": ["PSS-hostNamespaces"], "memory": ["HB-RES"],
    "tag": ["HB-IMG-TAG", "HB-DF-BASE"], "readiness": ["HB-PROBE"], "credential": ["HB-SECRET-LITERAL", "HB-DF-SECRET"], "nodeport": ["HB-SVC-NODEPORT"],
    "dangling": ["HB-SVC-SELECTOR"], "policy": ["HB-NP-NONE"], "budget": ["HB-PDB"], "wildcard": ["HB-RBAC-WILDCARD"],
    "secrets": ["HB-RBAC-SECRETS"], "admin": ["HB-RBAC-ADMIN"], "tls": ["HB-ING-TLS"],
    "leftovers": ["HB-DF-CLEAN"], "silent": ["HB-DF-INSTALL"], "extras": ["HB-DF-INSTALL"], "pin": ["HB-DF-PIN"], "sudo": ["HB-DF-SUDO"],
    "command": ["HB-DF-CMD"], "port": ["HB-DF-EXPOSE"], "workdir": ["HB-DF-WORKDIR"], "pipe": ["HB-DF-FETCH"], "invalid": ["error"],
}
KUBE_LINTER = {
    "privileged": ["privileged-container"], "escalation": ["privilege-escalation-container"], "rofs": ["no-read-only-root-fs"],
    "capabilities": ["drop-net-raw-capability"], "root": ["run-as-non-root"], "hostpath": ["sensitive-host-mounts", "docker-sock"],
    "host": ["host-network", "host-pid", "host-ipc"], "memory": ["unset-memory-requirements"], "tag": ["latest-tag"], "readiness": ["no-readiness-probe"],
    "credential": ["env-var-secret"], "nodeport": ["exposed-services"], "dangling": ["dangling-service"], "policy": ["non-isolated-pod"],
    "budget": ["pdb-max-unavailable", "pdb-min-available"], "wildcard": ["wildcard-in-rules"], "secrets": ["access-to-secrets"], "admin": ["cluster-admin-role-binding"],
}
KUBE_SCORE = {
    "privileged": ["container-security-context-privileged"], "rofs": ["container-security-context-readonlyrootfilesystem"],
    "root": ["container-security-context-user-group-id"], "memory": ["container-resources"], "tag": ["container-image-tag"], "readiness": ["pod-probes"],
    "dangling": ["service-targets-pod"], "policy": ["pod-networkpolicy"],
}
HADOLINT = {
    "root": ["DL3002"], "tag": ["DL3006", "DL3007"], "leftovers": ["DL3009", "DL3019", "DL3032", "DL3040", "DL3042"], "silent": ["DL3014"], "extras": ["DL3015"],
    "pin": ["DL3008", "DL3013", "DL3016", "DL3018", "DL3028"], "sudo": ["DL3004"], "command": ["DL4003", "DL4004"], "port": ["DL3011"], "workdir": ["DL3000"], "invalid": ["DL1000"],
}
# Gabion says these as notes only, because another file or the cluster may have the answer.
NOTES = {"HB-DF-PIN", "HB-PDB"}


def gabion(program, path):
    run = subprocess.run([program, "check", "--profile", "guide", "--allow-empty", "-o", "json", path], capture_output=True, text=True, cwd=path.parent)
    found = set()
    for file in json.loads(run.stdout)["files"]:
        found |= {"error"} if file["errors"] else set()
        for one in file["findings"]:
            name = one["control"]
            if name == "HB-DF-INSTALL":
                name = ("silent", "extras")["recommended" in one["message"]]
            if name == "HB-DF-FETCH" and one["severity"] == "low":
                continue
            if not one["note"] or one["control"] in NOTES:
                found.add(name)
    return found


def kube_linter(program, path):
    run = subprocess.run([program, "lint", "--add-all-built-in", "--format", "json", path], capture_output=True, text=True)
    return {one["Check"] for one in json.loads(run.stdout)["Reports"] or []}


def kube_score(program, path):
    optional = ["container-security-context-privileged"]
    command = [program, "score", "-o", "json", *(part for name in optional for part in ("--enable-optional-test", name)), path]
    run = subprocess.run(command, capture_output=True, text=True)
    return {check["check"]["id"] for one in json.loads(run.stdout) or [] for check in one["checks"] if not check["skipped"] and check["grade"] <= 5}


def hadolint(program, path):
    run = subprocess.run([program, "--format", "json", path], capture_output=True, text=True)
    return {one["code"] for one in json.loads(run.stdout or "[]")}


def kinds(found, claims):
    return {kind for kind, names in claims.items() if kind in found or found & set(names) and kind not in ("silent", "extras")} | {
        kind for kind in ("silent", "extras") if kind in claims and (kind in found or found & (set(claims[kind]) - {"HB-DF-INSTALL"}))}


def count(tool, program, claims, folder, labelled):
    total = collections.Counter()
    wrong = []
    for number, problems in enumerate(labelled):
        path = sorted(folder.glob(f"{number:03}.*"))[0]
        said = kinds(tool(program, path), claims)
        for kind in claims:
            really, told = kind in problems, kind in said
            total[("true" if told else "missed") if really else ("false" if told else "clear")] += 1
            if really != told:
                wrong.append((path.name, kind, "false" if told else "missed"))
    return total, wrong


def cost(command):
    """Seconds and MiB of one run over all files: the best of three."""
    best = None
    for _ in range(3):
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        taken = (time.monotonic() - start, usage.ru_maxrss / 1024)
        best = taken if best is None or taken < best else best
    return best


def main():
    options = argparse.ArgumentParser()
    for name in ("gabion", "kube-linter", "kube-score", "hadolint"):
        options.add_argument(f"--{name}")
    options.add_argument("--details", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = {}
        for name, made, end in (("manifests", cases.manifests(), "yaml"), ("dockerfiles", cases.dockerfiles(), "Dockerfile")):
            folder = pathlib.Path(temporary) / name
            folder.mkdir()
            for number, (_, text) in enumerate(made):
                (folder / f"{number:03}.{end}").write_text(text)
            folders[name] = folder, [problems for problems, _ in made]
        print("| input | tool | problems it claims | true | missed | false | seconds | MiB |\n|---|---|---|---|---|---|---|---|")
        report = [
            ("manifests", "gabion check", gabion, given.gabion, GABION, ["check", "--profile", "guide", "."]),
            ("manifests", "kube-linter", kube_linter, given.kube_linter, KUBE_LINTER, ["lint", "--add-all-built-in", "."]),
            ("manifests", "kube-score", kube_score, given.kube_score, KUBE_SCORE, ["score"]),
            ("dockerfiles", "gabion check", gabion, given.gabion, GABION, ["check", "--profile", "guide", "."]),
            ("dockerfiles", "hadolint", hadolint, given.hadolint, HADOLINT, []),
        ]
        details = []
        for name, title, tool, program, claims, arguments in report:
            if not program:
                continue
            program = os.path.abspath(program)
            folder, labelled = folders[name]
            present = set().union(*labelled)
            claims = {kind: names for kind, names in claims.items() if kind in present}
            total, wrong = count(tool, program, claims, folder, labelled)
            files = [str(path) for path in sorted(folder.iterdir())] if arguments in ([], ["score"]) else []
            arguments = [str(folder) if part == "." else part for part in arguments]
            seconds, memory = cost([program, *arguments, *files])
            print(f"| {len(labelled)} {name} | {title} | {len(claims)} of {len(present)} | {total['true']} | {total['missed']} | {total['false']} | {seconds:.2f} | {memory:.0f} |")
            details.extend((title, *one) for one in wrong)
        if given.details:
            for one in details:
                print(*one)


if __name__ == "__main__":
    main()
