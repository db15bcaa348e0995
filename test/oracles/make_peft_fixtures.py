"""Writes packages/weights/test/fixtures/peft/<case>: adapters for tiny/llama as PEFT saves them.

    python test/oracles/make_peft_fixtures.py

Beside each adapter: `expected.safetensors` with merged weights (PEFT's own merge_and_unload) and
the logits of the adapted model; `fixture.json` with the token ids and the scale of every module.
"""

import json
import shutil

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from make_tiny_models import (
    LINEAR,
    OUT,
    PROVENANCE,
    ROOT,
    checked_logits,
    save_adapter,
    with_adapter,
    write_json,
)
from tiny_families import sequences_for

CASES = {
    "plain": {"target_modules": LINEAR},
    "rslora": {"target_modules": ["q_proj", "v_proj", "down_proj"], "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"],
        "rank_pattern": {"k_proj": 2, "layers.1.mlp.down_proj": 6},
        "alpha_pattern": {"^model.layers.0.self_attn.q_proj": 12, "down_proj": 3},
    },
}
MERGED = [
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.1.self_attn.v_proj.weight",
    "model.layers.1.mlp.down_proj.weight",
]


def module_scales(adapted):
    """`alpha / rank` (or its square-root form) of every adapted module, as PEFT settled it."""
    scales = {}
    for name, module in adapted.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            scales[name] = {"rank": module.r["default"], "scale": module.scaling["default"]}
    return scales


def make_case(case, base):
    directory = ROOT / "packages/weights/test/fixtures/peft" / case
    directory.mkdir(parents=True, exist_ok=True)
    adapted = with_adapter(base, f"peft/{case}", **CASES[case])
    save_adapter(adapted, directory, "tiny/llama")
    sequence = sequences_for("llama")[0]
    logits, distance = checked_logits(adapted, [sequence])
    fixture = {
        "provenance": {**PROVENANCE, "script": "test/oracles/make_peft_fixtures.py"},
        "base": "packages/engine/test/fixtures/tiny/llama",
        "ids": sequence["ids"],
        "float32MaxAbsDistance": distance,
        "modules": module_scales(adapted),
    }
    merged = adapted.double().merge_and_unload().state_dict()
    tensors = {name: merged[name].float().contiguous() for name in MERGED}
    save_file({**tensors, "logits": logits[0].float()}, directory / "expected.safetensors")
    write_json(directory / "fixture.json", fixture)
    for path in directory.glob("*.safetensors"):
        path.chmod(0o644)
    if case == "plain":
        pickle_case(directory)
    print(case, json.dumps(fixture["modules"]))


def pickle_case(directory):
    """The same adapter with the pickled factors of older PEFT."""
    pickled = directory.parent / "pickled"
    pickled.mkdir(exist_ok=True)
    torch.save(load_file(directory / "adapter_model.safetensors"), pickled / "adapter_model.bin")
    shutil.copy(directory / "adapter_config.json", pickled)


def main():
    torch.set_num_threads(2)
    base = AutoModelForCausalLM.from_pretrained(OUT / "llama", attn_implementation="eager").eval()
    for case in CASES:
        make_case(case, base)


if __name__ == "__main__":
    main()
