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

for crash in sorted((here / "crashes").glob("*/*")):
    seed(crash.parent.name, crash.read_bytes().decode("utf-8", "surrogateescape"))
