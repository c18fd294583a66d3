#!/usr/bin/env python3
"""Writes the vectors of tests/golden as seeds: fuzz/corpus/<target>/."""

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


for name in ("language", "functions", "documents"):
    for vector in json.loads((golden / f"{name}.json").read_text()):
        text = vector["template"]
        delims = " ".join(vector.get("delims", [])) + "\n" if "delims" in vector else ""
        seed("template_parse", delims + text)
        value = next(iter(vector.get("data", {}).values()), "A").replace("\n", " ")
        seed("template_render", f"{text}\n{value}")

documents = {}
for vector in json.loads((golden / "gjson.json").read_text()):
    if "document" in vector:
        documents[vector["document"]] = vector["json"]
    elif "\n" not in vector["path"]:
        seed("property", f"{vector['path']}\n{documents[vector['in']]}")

for crash in sorted((here / "crashes").glob("*/*")):
    seed(crash.parent.name, crash.read_bytes().decode("utf-8", "surrogateescape"))
