"""Loads archives that Tuneyard wrote in torch and tells what it found.

    npx tsx --conditions=@tuneyard/source test/oracles/write-torch-archives.mjs DIR
    python test/oracles/check_torch_archive.py DIR

Archives that are fixtures written again are compared with the value in the fixture's file: every tensor's type, shape,
strides, sharing and bytes, and everything else by equality. Writes packages/formats/test/fixtures/torch/written.json;
the hashes in it bind the product's tests to the very files that were loaded.
"""

import argparse
import enum
import hashlib
import json
import pathlib
import sys

import numpy as np
import torch

from torch_archive_cases import stand_in_enums

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/formats/test/fixtures/torch"


def same(a, b, pairs):
    """Equal in type and content; tensors also in layout, and in which of them share memory."""
    if isinstance(a, torch.Tensor):
        if type(a) is not type(b) or a.dtype != b.dtype or a.shape != b.shape or a.stride() != b.stride():
            return False
        if a.storage_offset() != b.storage_offset() or a.requires_grad != b.requires_grad:
            return False
        if pairs.setdefault(a.untyped_storage()._cdata, b.untyped_storage()._cdata) != b.untyped_storage()._cdata:
            return False
        if vars(a).keys() != vars(b).keys() or not all(same(vars(a)[k], vars(b)[k], pairs) for k in vars(a)):
            return False
        return bytes(a.untyped_storage()) == bytes(b.untyped_storage())
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, (list, tuple)):
        if id(a) in pairs:
            return pairs[id(a)] == id(b)
        pairs[id(a)] = id(b)
        return len(a) == len(b) and all(same(x, y, pairs) for x, y in zip(a, b))
    if isinstance(a, argparse.Namespace):
        return same(vars(a), vars(b), pairs)
    if isinstance(a, dict):
        if list(a) != list(b) or not all(same(a[k], b[k], pairs) for k in a):
            return False
        return same(getattr(a, "_metadata", None), getattr(b, "_metadata", None), pairs)
    if isinstance(a, enum.Enum):
        return a is b
    return a == b or (a != a and b != b)


def compare(path, source, weights_only):
    """`equal`, `differs`, or why torch refuses."""
    try:
        found = torch.load(path, weights_only=weights_only)
    except Exception as error:  # the reason is the result
        return f"differs: refused with {error}"
    if source in MADE:
        return MADE[source](found)
    wanted = torch.load(FIXTURES / f"{source}.pt", weights_only=False)
    return "equal" if same(wanted, found, {}) else "differs"


def counted(dtype, shape):
    numel = int(np.prod(shape)) if shape else 1
    size = numel * torch.empty(0, dtype=dtype).element_size()
    raw = torch.tensor([1 + i % 63 for i in range(size)], dtype=torch.uint8)
    return raw.view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)


def check_from_nothing(found):
    args = vars(found["args"])
    wanted = dict(
        num_layers=2, rope_theta=1000000, norm_epsilon=1e-5, lr=1.0, params_dtype=torch.bfloat16, num_layer_list=None,
        swiglu=True, shapes=[(1, 2), ()], big=2**80, negative=-(2**40),
    )
    model = {
        "embedding.word_embeddings.weight": counted(torch.bfloat16, (8, 4)),
        "decoder.final_layernorm.weight": counted(torch.float16, (4,)),
        "scale": counted(torch.float8_e4m3fn, (3, 0)),
        "quantized": counted(torch.float8_e4m3fn, (2, 3)),
        "steps": counted(torch.int64, ()),
    }
    if not same(wanted, args, {}) or found["checkpoint_version"] != 3.0 or found["iteration"] != 1:
        return "differs"
    if list(found["model"]) != list(model):
        return "differs"
    for name, tensor in model.items():
        there = found["model"][name]
        if there.dtype != tensor.dtype or there.shape != tensor.shape or bytes(there.untyped_storage()) != bytes(tensor.untyped_storage()):
            return "differs"
    return "equal"


def check_many(found):
    wanted = counted(torch.float32, (1, 2))
    names = [f"layers.{i}.weight" for i in range(1200)]
    return "equal" if list(found) == names and all(torch.equal(t, wanted) for t in found.values()) else "differs"


MADE = {"from-nothing": check_from_nothing, "many": check_many}


def main():
    directory = pathlib.Path(sys.argv[1])
    model_type, backend = stand_in_enums()
    rebuild = np._core.multiarray._reconstruct
    # numpy 1 has another name for it, which files of older torch carry.
    states = [rebuild, (rebuild, "numpy.core.multiarray._reconstruct"), np.ndarray, np.dtype, type(np.dtype(np.uint32))]
    torch.serialization.add_safe_globals([argparse.Namespace, model_type, backend, *states])
    files = []
    for path in (directory / line for line in order(directory)):
        source, protocol = path.name.removesuffix(".pt").rsplit(".p", 1)
        files.append({
            "file": path.name,
            "protocol": int(protocol),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "full": compare(path, source, False),
            # torch loads weights alone from protocol 2 and nothing newer, and not values such as dates and bytes.
            "weightsOnly": compare(path, source, True) if protocol == "2" and source != "plain" else None,
        })
    result = {"torch": torch.__version__, "python": sys.version.split()[0], "files": files}
    (FIXTURES / "written.json").write_text(json.dumps(result, indent=1) + "\n")
    for file in files:
        print(file["file"], "|", file["full"], "|", file["weightsOnly"])


def order(directory):
    """In the order in which they were written."""
    paths = sorted(directory.glob("*.pt"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    return [path.name for path in paths]


if __name__ == "__main__":
    main()
