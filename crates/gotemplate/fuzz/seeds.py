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


for name in ("language", "functions", "documents"):
    for vector in json.loads((golden / f"{name}.json").read_text()):
        text = vector["template"]
        delims = " ".join(vector.get("delims", [])) + "\n" if "delims" in vector else ""
        seed("parse", delims + text)
        value = next(iter(vector.get("data", {}).values()), "A").replace("\n", " ")
        seed("render", f"{text}\n{value}")

entries = [""]
for line in json.loads((golden / "tables.json").read_text()):
    if "template" not in line:
        entries, words = line.get("texts") or line["words"], "words" in line
        continue
    for number, entry in enumerate(entries):
        # A few of each are enough to start from.
        if number % 8 == len(line["template"]) % 8:
            text = line["template"].replace("§", entry) if words else line["template"].replace(".v", ".a")
            seed("render", text + "\n" + ("" if words else entry.replace("\n", " ")))

for crash in sorted((here / "crashes").glob("*/*")):
    seed(crash.parent.name, crash.read_bytes().decode("utf-8", "surrogateescape"))
