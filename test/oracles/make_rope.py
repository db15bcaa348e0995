"""Writes packages/weights/test/fixtures/rope.json: inverse frequencies as transformers makes them.

    python test/oracles/make_rope.py

Each case holds the part of a version 4 config.json that matters, and what ROPE_INIT_FUNCTIONS gives
for it: `inverseFrequencies` (float32 there, written with all their digits) and `attentionScaling`.
"""

import json
import pathlib

import torch
import transformers
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/weights/test/fixtures/rope.json"


def shape(theta, head_dim, positions):
    return {
        "hidden_size": 4 * head_dim,
        "num_attention_heads": 4,
        "head_dim": head_dim,
        "rope_theta": theta,
        "max_position_embeddings": positions,
    }


LLAMA31 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
DEEP = {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096}
QWEN = shape(1000000.0, 128, 131072)
CASES = {
    "default": (shape(10000.0, 128, 4096), None),
    "linear": (shape(10000.0, 128, 16384), {"rope_type": "linear", "factor": 4.0}),
    "linear, old key": (shape(10000.0, 64, 8192), {"type": "linear", "factor": 2.0}),
    "llama3 as in Llama 3.1": (shape(500000.0, 128, 131072), LLAMA31),
    "llama3 as in Llama 3.2": (shape(500000.0, 64, 131072), {**LLAMA31, "factor": 32.0}),
    "yarn": (QWEN, YARN),
    "yarn with attention_factor": (QWEN, {**YARN, "attention_factor": 1.25}),
    "yarn with mscale": (shape(10000.0, 64, 163840), {**DEEP, "mscale": 1.0}),
    "yarn with equal mscale and mscale_all_dim": (
        shape(10000.0, 64, 163840),
        {**DEEP, "mscale": 1.0, "mscale_all_dim": 1.0},
    ),
    "yarn with different mscale and mscale_all_dim": (
        shape(10000.0, 64, 163840),
        {**DEEP, "mscale": 0.707, "mscale_all_dim": 1.0},
    ),
    "yarn without truncation": (
        shape(150000.0, 64, 131072),
        {**DEEP, "factor": 32.0, "truncate": False},
    ),
    "yarn with its own betas": (QWEN, {**YARN, "beta_fast": 16.0, "beta_slow": 2.0}),
    "yarn without original length": (
        shape(1000000.0, 128, 32768),
        {"rope_type": "yarn", "factor": 4.0},
    ),
    "yarn below one": (QWEN, {**YARN, "factor": 1.0}),
}


def frequencies(config, scaling):
    config = LlamaConfig(**config, rope_scaling=scaling)
    kind = config.rope_parameters["rope_type"]
    make = ROPE_INIT_FUNCTIONS.get(kind, LlamaRotaryEmbedding.compute_default_rope_parameters)
    inverse, scale = make(config, device="cpu")
    return {"inverseFrequencies": inverse.tolist(), "attentionScaling": float(scale)}


def main():
    cases = [
        {
            "name": name,
            "config": {**config, "rope_scaling": scaling},
            **frequencies(config, scaling),
        }
        for name, (config, scaling) in CASES.items()
    ]
    provenance = {
        "script": "test/oracles/make_rope.py",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    body = ",\n".join("  " + json.dumps(case) for case in cases)
    text = f'{{\n "provenance": {json.dumps(provenance)},\n "cases": [\n{body}\n ]\n}}\n'
    OUT.parent.mkdir(parents=True, exist_ok=True)
    json.loads(text)  # the layout is written by hand above: one case a line
    OUT.write_text(text)


if __name__ == "__main__":
    main()
