#!/usr/bin/env python3
"""Writes the vectors of tests/golden as seeds: corpus/<target>/."""

import hashlib
import json
import pathlib

here = pathlib.Path(__file__).resolve().parent
golden = here.parent / "tests" / "golden"


def seed(target, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8", "surrogateescape")
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


documents = {}
for vector in json.loads((golden / "gjson.json").read_text()):
    if "document" in vector:
        documents[vector["document"]] = vector["json"]
    elif "\n" not in vector["path"]:
        seed("property", f"{vector['path']}\n{documents[vector['in']]}")

digest = "sha256:" + "0" * 64
for which, text in enumerate([
    f"registry.example:5000/team/app:v1@{digest}",
    json.dumps({"manifests": [{"digest": digest, "artifactType": "a"}], "subject": {"digest": digest}}),
    'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"',
    '</v2/a/referrers/x?n=2>; rel="next"',
    json.dumps({"auths": {"registry.example": {"auth": "dTpw"}}}),
]):
    seed("registry", chr(which) + text)

for crash in sorted((here / "crashes").glob("*/*")):
    seed(crash.parent.name, crash.read_bytes().decode("utf-8", "surrogateescape"))
