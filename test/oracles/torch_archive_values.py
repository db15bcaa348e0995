"""Tells a loaded value as JSON, the way that torchToJson of Tuneyard's formats package does, and its tensors by key path."""

import argparse
import collections
import enum
import math

import numpy as np
import torch

SEPARATOR = "\x1f"
ANY = {"$any": True}


def hex_of(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.is_conj():
        tensor = tensor.resolve_conj()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes().hex() if tensor.numel() else ""


def describe(value, seen=()):
    """JSON of a value; what torchToJson tells in words of its own is `$any`."""
    if id(value) in seen:
        return ANY
    seen = (*seen, id(value))
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}({describe(value.value)})"
    if type(value) is int:
        return value if abs(value) < 2**53 else str(value)
    if type(value) is float:
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, torch.Tensor):
        return f"tensor({str(value.dtype).removeprefix('torch.')}, [{', '.join(map(str, value.shape))}])"
    if isinstance(value, torch.dtype):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, argparse.Namespace):
        return describe(vars(value), seen)
    if type(value) in (dict, collections.OrderedDict):
        return {key_text(key): describe(item, seen) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [describe(item, seen) for item in value]
    return ANY


def key_text(key):
    if isinstance(key, tuple):
        return f"({', '.join(map(key_text, key))})"
    return str(key)


def tensors_of(value, path=(), found=None):
    """Every tensor by its key path, with type, shape and bytes in row-major order."""
    found = {} if found is None else found
    if isinstance(value, torch.Tensor):
        found[SEPARATOR.join(path)] = {
            "dtype": str(value.dtype).removeprefix("torch."),
            "shape": list(value.shape),
            "hex": hex_of(value),
            "parameter": isinstance(value, torch.nn.Parameter),
        }
    elif isinstance(value, argparse.Namespace):
        tensors_of(vars(value), path, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            tensors_of(item, (*path, key_text(key)), found)
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        for i, item in enumerate(value):
            if item is not value:
                tensors_of(item, (*path, str(i)), found)
    return found
