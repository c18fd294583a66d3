#!/usr/bin/env python3
"""Writes src/check/schemas/kubernetes.txt: the kinds of Kubernetes and their fields.

    kubectl get --raw /openapi/v2 > openapi.json
    dev/schemas.py openapi.json path/to/k8s-openapi/src

The types are those of the newest API server. In which versions a kind or a field exists comes from the crate, which
holds the definitions of several versions.

The first line names the oldest and the newest minor version. Then one type a line: what it is served as
(group/version/Kind), or `-`, and its fields, each with a type:

    s  a string          i  an integer of 32 bits    b  a boolean          o  anything
    y  base64            I  an integer of 64 bits    n  a number
    t  a point in time   q  a quantity               x  an integer or a string

A number is the type of that line, `[` stands before the type of items, `{` before that of values, and the words of an
enumeration after `|`. A name that ends in `!` must be given. `@35` means since 1.35, `@-36` up to 1.36. Status is left
out, because nobody writes it.
"""

import json
import pathlib
import re
import sys

definitions = json.load(open(sys.argv[1], encoding="utf-8"))["definitions"]
sources = pathlib.Path(sys.argv[2])
MINORS = sorted(int(folder.name[3:]) for folder in sources.glob("v1_*"))
OLDEST, NEWEST = MINORS[0], MINORS[-1]

META = "io.k8s.apimachinery.pkg"
SCALARS = {
    f"{META}.api.resource.Quantity": "q",
    f"{META}.util.intstr.IntOrString": "x",
    f"{META}.apis.meta.v1.Time": "t",
    f"{META}.apis.meta.v1.MicroTime": "t",
}
FORMATS = {
    ("string", "byte"): "y",
    ("integer", "int64"): "I",
    ("integer", "int32"): "i",
}
TYPES = {"string": "s", "integer": "I", "number": "n", "boolean": "b"}
SKIPPED_GROUPS = ("internal.apiserver.k8s.io", "meta.k8s.io")
# Groups whose required fields a test compares with what the API server asks for.
ASKED_GROUPS = ("core", "apps", "batch", "networking", "policy", "rbac", "autoscaling", "scheduling", "storage")
# Required by the document, and filled in or not asked for by the API server.
NOT_ASKED = json.load(open(pathlib.Path(__file__).with_name("schemas.json"), encoding="utf-8"))


def read(minor):
    """The fields of each definition of a version, and its kinds."""
    fields, kinds = {}, set()
    for path in sources.joinpath(f"v1_{minor}").rglob("*.rs"):
        text = path.read_text(encoding="utf-8")
        name = re.search(r"^// Generated from definition (\S+)", text, re.M)
        listed = re.search(r"deserialize_struct\(\s*\S.*?,\s*&\[(.*?)\]", text, re.S)
        if not name or not listed:
            continue
        fields[name[1]] = set(re.findall(r'"([^"]+)"', listed[1]))
        kind = re.search(r"const KIND: &'static str = \"(\w+)\"", text)
        version = re.search(r"const API_VERSION: &'static str = \"([^\"]+)\"", text)
        if kind and version and not kind[1].endswith("List"):
            api = version[1] if "/" in version[1] else "/" + version[1]
            kinds.add(f"{api}/{kind[1]}")
    return fields, kinds


VERSIONS = {minor: read(minor) for minor in MINORS}


def span(there):
    """The mark of what exists in these versions."""
    since, until = min(there), max(there)
    first = "" if since == OLDEST else str(since)
    last = "" if until == NEWEST else f"-{until}"
    return f"@{first}{last}" if first or last else ""


def kinds_of(definition):
    for kind in definition.get("x-kubernetes-group-version-kind", []):
        yield f"{kind['group']}/{kind['version']}/{kind['kind']}"


numbers, order = {}, []


def number(name):
    if name not in numbers:
        numbers[name] = len(order)
        order.append(name)
    return str(numbers[name])


def shape(schema):
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name in SCALARS:
            return SCALARS[name]
        return number(name) if "properties" in definitions[name] else "o"
    kind = schema.get("type")
    if kind == "array":
        return "[" + shape(schema["items"])
    if kind == "object" and "additionalProperties" in schema:
        return "{" + shape(schema["additionalProperties"])
    if kind not in TYPES:
        return "o"
    words = schema.get("enum", [])
    words = "" if any(" " in word for word in words) else "".join("|" + word for word in words)
    return FORMATS.get((kind, schema.get("format")), TYPES[kind]) + words


def is_root(definition):
    served = list(kinds_of(definition))
    if "metadata" not in definition.get("properties", {}) or len(served) != 1:
        return False
    group, _, kind = served[0].rsplit("/", 2)
    return group not in SKIPPED_GROUPS and not kind.endswith("List")


def asked(name, field):
    group = name.split(".")
    ours = name.startswith(META) or (name.startswith("io.k8s.api.") and group[3] in ASKED_GROUPS)
    return ours and f"{name.rsplit('.', 1)[1]}.{field}" not in NOT_ASKED


def fields_of(name, is_served):
    definition = definitions[name]
    required = definition.get("required", [])
    known = {minor: fields[name] for minor, (fields, _) in VERSIONS.items() if name in fields}
    for field, schema in definition["properties"].items():
        mark = "!" if field in required and asked(name, field) else ""
        there = [minor for minor, fields in known.items() if field in fields]
        older = min(known, default=NEWEST)
        # A field of a type that is new is as old as the type.
        if there and min(there) > older:
            mark += span(there)
        yield f"{field}{mark}:" + ("o" if is_served and field == "status" else shape(schema))
    gone = set().union(*known.values()) - set(definition["properties"]) if known else set()
    for field in sorted(gone):
        there = [OLDEST] + [minor for minor, fields in known.items() if field in fields]
        yield f"{field}{span(there)}:o"


roots = {name: next(kinds_of(definitions[name])) for name in sorted(definitions) if is_root(definitions[name])}
for name in roots:
    number(name)
lines = [f"{OLDEST} {NEWEST}"]
at = 0
while at < len(order):
    name = order[at]
    served = roots.get(name)
    there = [minor for minor, (_, kinds) in VERSIONS.items() if served in kinds]
    head = served + span(there or [NEWEST, OLDEST]) if served else "-"
    lines.append(" ".join([head, *fields_of(name, served)]))
    at += 1
known = set(roots.values())
for kind in sorted(set().union(*(kinds for _, kinds in VERSIONS.values())) - known):
    there = [minor for minor, (_, kinds) in VERSIONS.items() if kind in kinds]
    lines.append(kind + span([OLDEST, *there] if min(there) == OLDEST else there))
out = pathlib.Path(__file__).parents[1] / "src/check/schemas/kubernetes.txt"
out.write_text("\n".join(lines) + "\n", encoding="utf-8")
