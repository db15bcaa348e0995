"""The values that torch archives are made of for fixtures; drawn with fixed seeds."""

import argparse
import collections
import datetime
import enum
import random
import sys
import types

import numpy as np
import torch


def stand_in_enums():
    """Enumerations under the module names of Megatron, so that pickles name what training runs name."""
    for name in ("megatron", "megatron.core", "megatron.core.enums", "megatron.core.transformer", "megatron.core.transformer.enums"):
        sys.modules.setdefault(name, types.ModuleType(name))

    def make(module, class_name, members):
        made = enum.Enum(class_name, members, module=module)
        setattr(sys.modules[module], class_name, made)
        return made

    model_type = make("megatron.core.enums", "ModelType", {"encoder_or_decoder": 1, "retro_encoder": 2})
    backend = make("megatron.core.transformer.enums", "AttnBackend", {"flash": 1, "auto": 5})
    return model_type, backend


def dtypes():
    generator = torch.Generator().manual_seed(7)
    base = torch.randn(2, 3, generator=generator)
    plain = ["float64", "float32", "float16", "bfloat16"]
    value = {name: base.to(getattr(torch, name)) for name in plain}
    for name in ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"):
        if hasattr(torch, name):
            value[name] = torch.arange(6, dtype=torch.int64).reshape(2, 3).to(getattr(torch, name))
    value["bool"] = base > 0
    value["complex64"] = torch.complex(base, -base)
    value["complex128"] = torch.complex(base, -base).to(torch.complex128)
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"):
        if hasattr(torch, name):
            value[name] = base.to(getattr(torch, name))
    return value


def strides():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    half = torch.arange(60, dtype=torch.bfloat16).reshape(3, 4, 5)
    return {
        "base": base,
        "turned": base.t(),
        "rows": base[1:3],
        "columns": base[:, 2:4],
        "steps": base[::2, ::3],
        "one": base[2, 3],
        "cube": half.permute(2, 0, 1),
        "cut": half[:, 1:3, ::2],
        "expanded": torch.tensor([1, 2, 3], dtype=torch.int16).expand(4, 3),
        "alone": torch.ones(1, 1, 2).transpose(0, 2),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.zeros(0),
        "emptied": torch.zeros(3, 0, 2),
        "complex": torch.complex(base, base).to(torch.complex128).t(),
        "bytes": torch.arange(12, dtype=torch.uint8).reshape(3, 4).t(),
    }


def module():
    torch.manual_seed(3)
    layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.BatchNorm1d(2))
    marked = torch.nn.Parameter(torch.ones(2))
    marked.tensor_model_parallel = True
    noted = torch.arange(3)
    noted.note = "kept"
    return {
        "state": layers.state_dict(),
        "parameters": [torch.nn.Parameter(torch.full((2,), 4.0)), torch.nn.Parameter(torch.ones(1), requires_grad=False)],
        "marked": marked,
        "noted": noted,
    }


def megatron():
    model_type, backend = stand_in_enums()
    torch.manual_seed(5)
    weights = collections.OrderedDict()
    for name, shape in (("embedding.word_embeddings.weight", (8, 4)), ("decoder.layers.0.self_attention.linear_qkv.weight", (8, 4)), ("decoder.final_layernorm.weight", (4,))):
        weights[name] = torch.randn(shape).to(torch.bfloat16)
    nested = {"language_model": {"encoder": {"layers.0.mlp.dense_h_to_4h.weight": torch.randn(4, 4).half()}, "output_layer": {"weight": torch.ones(2, 4)}}}
    parameters = [torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.randn(2))]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    random.seed(11)
    np.random.seed(11)
    args = argparse.Namespace(
        num_layers=2, hidden_size=4, ffn_hidden_size=None, params_dtype=torch.bfloat16, lr=1.0e-05, min_lr=0.0,
        model_type=model_type.encoder_or_decoder, attention_backend=backend.auto, tokenizer_model="词表/tokenizer.model",
        data_path=["1.0", "corpus_text_document"], train_iters=2000, seed=1234, rope_scaling_factor=8.0,
        untie_embeddings_and_output_weights=True, virtual_pipeline_model_parallel_size=None,
        consumed_train_samples=2**40 + 3, negative=-7, noop_layers={3, 1}, device=torch.device("cuda", 0),
    )
    return {
        "args": args,
        "checkpoint_version": 3.0,
        "iteration": 2000,
        "model": weights,
        "model1": nested,
        "optimizer": optimizer.state_dict(),
        "rng_state": [{
            "random_rng_state": random.getstate(),
            "np_rng_state": np.random.get_state(),
            "torch_rng_state": torch.arange(16, dtype=torch.uint8),
            "cuda_rng_state": torch.arange(16, dtype=torch.uint8) + 1,
            "rng_tracker_states": {"model-parallel-rng": torch.arange(16, dtype=torch.uint8) + 2},
        }],
        "num_floating_point_operations_so_far": 1.5e21,
    }


def shared():
    """Objects that several places share, and one that holds itself."""
    weight = torch.arange(4, dtype=torch.float32)
    inner = {"weight": weight}
    ring = [1]
    ring.append(ring)
    return {"first": inner, "second": inner, "tied": weight, "view": weight[1:], "ring": ring}


def plain():
    """Values of every kind that a pickle of the standard library has opcodes or reductions for."""
    return {
        "none": None, "true": True, "false": False, "zero": 0, "byte": 255, "word": 65535, "int": 2**31 - 1, "low": -(2**31),
        "long": 2**53 - 1, "longer": 2**70, "negative": -(2**70), "minus": -1, "edge": -(2**63), "float": 1.5, "whole": 3.0,
        "nan": float("nan"), "inf": float("inf"), "ninf": float("-inf"), "tiny": 5e-324, "text": "ascii", "unicode": "嵌入 🧵 é",
        "lines": "a\nb\\c", "bytes": bytes(range(256)), "nobytes": b"", "bytearray": bytearray(b"abc"), "nobytearray": bytearray(),
        "empty": [], "list": [1, [2, [3]]], "tuple": (), "one": (1,), "two": (1, 2), "three": (1, 2, 3), "four": (1, 2, 3, 4),
        "dict": {}, "keys": {1: "int", 2.5: "float", None: "none", (1, "a"): "tuple", "s": "text"}, "set": {5}, "frozenset": frozenset([6]),
        "ordered": collections.OrderedDict([("z", 1), ("a", 2)]), "many": list(range(1001)), "complex": complex(1, -2), "slice": slice(1, None, 2),
        "range": range(3), "date": datetime.datetime(2024, 2, 29, 12, 30), "delta": datetime.timedelta(seconds=90), "default": collections.defaultdict(list, {"k": [1]}),
        "namespace": argparse.Namespace(a=1, b=[2]), "simple": types.SimpleNamespace(x=1), "class": collections.OrderedDict,
    }


CASES = {"dtypes": dtypes, "strides": strides, "module": module, "megatron": megatron, "shared": shared, "plain": plain}
