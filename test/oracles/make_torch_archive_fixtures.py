"""Writes torch archives and pickles as torch and Python write them, with what is in them.

    python test/oracles/make_torch_archive_fixtures.py
    OLD/bin/python test/oracles/make_torch_archive_fixtures.py --old

With `--old` only the files of an older torch are written, under its version. Values are in torch_archive_cases.py.
"""

import argparse
import json
import pathlib
import pickle
import pickletools
import sys
import tempfile
import zipfile

import numpy as np
import torch

from torch_archive_cases import CASES, plain, stand_in_enums
from torch_archive_values import describe, tensors_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/formats/test/fixtures/torch"


def save(name, value, **options):
    path = OUT / f"{name}.pt"
    torch.save(value, path, **options)
    return {"file": path.name, "value": describe(value), "tensors": tensors_of(value), "byTorch": torch.__version__}


def repacked(name, source, compression):
    """The same entries in a ZIP that Python's zipfile makes, as people who unpack and pack again do."""
    path = OUT / f"{name}.pt"
    with zipfile.ZipFile(OUT / f"{source}.pt") as old, zipfile.ZipFile(path, "w", compression) as new:
        for info in old.infolist():
            new.writestr(zipfile.ZipInfo(info.filename), old.read(info.filename), compression)
    return path.name


def new_files():
    cases = [save(name, make()) for name, make in CASES.items()]
    for protocol in (3, 4, 5):
        cases.append(save(f"megatron-protocol-{protocol}", CASES["megatron"](), pickle_protocol=protocol))
    cases.append(save("legacy", {**CASES["megatron"](), **CASES["shared"]()}, _use_new_zipfile_serialization=False))
    cases.append(save("tensor", torch.arange(6).reshape(2, 3)))
    cases.append(save("tiny", {"a": torch.tensor([[1.0], [2.0]]), "b": torch.tensor([3.0])}))
    torch.serialization.set_crc32_options(False)
    cases.append(save("no-checksums", CASES["strides"]()))
    torch.serialization.set_crc32_options(True)
    strides = next(case for case in cases if case["file"] == "strides.pt")
    for name, compression in (("stored-again", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        cases.append({**strides, "file": repacked(name, "strides", compression)})
    return cases


def old_files():
    version = torch.__version__.split("+")[0]
    made = {name: make() for name, make in CASES.items()}
    return [save(f"torch-{version}-{name}", value) for name, value in made.items()] + [
        save(f"torch-{version}-legacy", made["strides"], _use_new_zipfile_serialization=False)
    ]


def pickles():
    value = plain()
    found = []
    for protocol in range(6):
        # The values of protocol 0 that are ways to write are in themselves text.
        raw = pickle.dumps(value, protocol)
        found.append({"protocol": protocol, "hex": raw.hex(), "optimized": pickletools.optimize(raw).hex()})
    return {"value": describe(value), "pickles": found, "python": sys.version.split()[0]}


def large():
    """An archive beyond four gigabytes, kept without the zeros of its first storage."""
    bytes_of_a = 2**32 + 16
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "large.pt")
        torch.save({"a": torch.zeros(bytes_of_a, dtype=torch.uint8), "b": torch.ones(3), "c": torch.zeros(0)}, path)
        with path.open("rb") as file:
            head = file.read(4096).rstrip(b"\0")
            file.seek(len(head) + bytes_of_a)
            tail = file.read()
        parts = [{"at": 0, "hex": head.hex()}, {"at": path.stat().st_size - len(tail), "hex": tail.hex()}]
        return {"size": path.stat().st_size, "parts": parts, "torch": torch.__version__}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", action="store_true")
    parser.add_argument("--large", action="store_true", help="only large.json; takes four gigabytes of disk and memory")
    arguments = parser.parse_args()
    old = arguments.old
    if arguments.large:
        (OUT / "large.json").write_text(json.dumps(large()) + "\n")
        return
    stand_in_enums()
    OUT.mkdir(parents=True, exist_ok=True)
    cases = old_files() if old else new_files()
    name = f"expected-{torch.__version__.split('+')[0]}.json"
    made = {"torch": torch.__version__, "numpy": np.__version__, "python": sys.version.split()[0]}
    (OUT / name).write_text(json.dumps({**made, "cases": cases}, ensure_ascii=True, separators=(",", ":")) + "\n")
    if not old:
        (OUT / "pickles.json").write_text(json.dumps(pickles(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
