"""Writes packages/weights/test/fixtures/peft-merge/<case>: adapters of every kind, merged by PEFT.

    python test/oracles/make_lora_merge_fixtures.py

Beside each adapter, `expected.safetensors`:
  `exact.<parameter>`   merge_and_unload in float64, rounded once to float32
  `bf16.<parameter>`    merge_and_unload of the base cast to bfloat16 (adapter in float32), likewise `f16.`
and `fixture.json` with the base and whether embedding and head part. Only parameters that changed are kept. A merge is
checked against the adapted model before it is written: the logits must be equal.
"""

import copy
import json

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from make_tiny_models import OUT, PROVENANCE, ROOT, float64_mode, save_adapter, write_json
from tiny_families import gaussian, generator_for, sequences_for

TARGET = ROOT / "packages/weights/test/fixtures/peft-merge"
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
CASES = {
    "dora": ("llama-bias", {"target_modules": [*ATTENTION, "up_proj", "down_proj"], "use_dora": True}),
    "dora-rslora": (
        "llama-bias",
        {
            "target_modules": ["q_proj", "down_proj"],
            "use_dora": True,
            "use_rslora": True,
            "rank_pattern": {"down_proj": 3},
            "alpha_pattern": {r"layers\.0\.self_attn\.[qk]_proj": 5},
        },
    ),
    "saved": (
        "llama-linear",
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "input_layernorm"]},
    ),
    "bias-all": ("llama-bias", {"target_modules": ["q_proj"], "bias": "all"}),
    "bias-lora": ("llama-bias", {"target_modules": ["k_proj", "o_proj"], "bias": "lora_only"}),
    "factor-bias": ("llama-bias", {"target_modules": ["v_proj", "o_proj"], "lora_bias": True}),
    "embedding": ("llama-linear", {"target_modules": ["embed_tokens", "lm_head", "v_proj"]}),
    "embedding-dora": (
        "llama-linear",
        {"target_modules": ["embed_tokens", "v_proj"], "use_dora": True},
    ),
    "tied": ("llama3", {"target_modules": ["embed_tokens", "q_proj"]}),
    "second": ("llama-bias", {"target_modules": ["q_proj", "v_proj"], "use_dora": True}),
}
IN_TURN = ["dora", "second"]
HALVES = {"dora": ["bf16", "f16"], "factor-bias": ["bf16"], "saved": ["f16"]}
DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


def load(name):
    return AutoModelForCausalLM.from_pretrained(OUT / name, attn_implementation="eager").eval()


def fill(adapted, case):
    """Random numbers in everything that the adapter trains."""
    generator = generator_for(f"peft-merge/{case}")
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_magnitude_vector" in name:
                parameter.mul_(1 + gaussian(parameter.shape, generator, 0.2))
            elif "lora_" in name:
                parameter.copy_(gaussian(parameter.shape, generator, 0.2))
            elif parameter.requires_grad:
                parameter.add_(gaussian(parameter.shape, generator, 0.1))


def untie(model):
    """A copy whose head has its own matrix, as the adapted model computes."""
    model = copy.deepcopy(model)
    if model.config.tie_word_embeddings:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    return model


def logits(model, ids):
    with torch.no_grad(), float64_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def merged_exactly(base, directory, ids):
    """Weights merged in float64; the base's own for what an adapter leaves alone."""
    with float64_mode():
        adapted = PeftModel.from_pretrained(untie(base).double(), directory).double().eval()
        before = logits(adapted, ids)
        merged = adapted.merge_and_unload()
        assert (logits(merged, ids) - before).abs().max() < 1e-12, directory
    return merged


def merged_in(dtype, base, directory):
    return PeftModel.from_pretrained(untie(base).to(dtype), directory).merge_and_unload()


def changed(merged, base):
    before = base.state_dict()
    return {
        name: value.contiguous()
        for name, value in merged.state_dict().items()
        if not torch.equal(value, before[name].to(value.dtype))
    }


def make_case(case):
    family, config = CASES[case]
    directory = TARGET / case
    directory.mkdir(parents=True, exist_ok=True)
    base = load(family)
    config = {"r": 2, "lora_alpha": 3, **config}
    lora = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **config)
    adapted = get_peft_model(untie(base), lora)
    fill(adapted, case)
    save_adapter(adapted, directory, f"tiny/{family}")
    ids = sequences_for(family)[0]["ids"]
    tensors = {f"exact.{n}": v.float() for n, v in changed(merged_exactly(base, directory, ids), base).items()}
    for name in HALVES.get(case, []):
        half = changed(merged_in(DTYPES[name], base, directory), base)
        tensors.update({f"{name}.{n}": v for n, v in half.items()})
    save_file(tensors, directory / "expected.safetensors")
    write_json(
        directory / "fixture.json",
        {
            "provenance": {**PROVENANCE, "script": "test/oracles/make_lora_merge_fixtures.py"},
            "base": f"packages/engine/test/fixtures/tiny/{family}",
            "unties": base.config.tie_word_embeddings,
        },
    )
    print(case, sorted(tensors))


def make_in_turn():
    """Each adapter merged onto the result of the one before it."""
    base = load("llama-bias")
    with float64_mode():
        model = copy.deepcopy(base).double()
        for case in IN_TURN:
            model = PeftModel.from_pretrained(model, TARGET / case).double().merge_and_unload()
    tensors = {n: v.float() for n, v in changed(model, base).items()}
    save_file(tensors, TARGET / "in-turn.safetensors")
    print("in turn", sorted(tensors))


def main():
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    print(peft.__version__, json.dumps(list(CASES)))
    for case in CASES:
        make_case(case)
    make_in_turn()
    for path in TARGET.rglob("*.safetensors"):
        path.chmod(0o644)


if __name__ == "__main__":
    main()
