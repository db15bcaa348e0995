"""Shards that MindSpeed-LLM's converter makes of tiny models, as hashes.

    python make_megatron_convert_goldens.py --mindspeed-llm CHECKOUT [case ...]

CHECKOUT holds `mindspeed_llm/tasks/checkpoint` and `configs/checkpoint` of MindSpeed-LLM (Apache-2.0). Its converter
classes are run as they are; only the packages above them are empty, because those ask for an NPU. Models are the tiny
configurations of packages/weights/test/fixtures/families with numbers of their own: every element is the next integer,
counted through the tensors in the order of their names, stored as int32 (the converter moves elements and never
computes). Written: packages/weights/test/fixtures/megatron/mindspeed/<case>.json with, for every rank, name, shape and
the first 16 digits of the SHA-256 of each tensor's bytes, the arguments, and the files that the way back gives.

Needs: requirements-megatron.txt. A second run gives the same bytes.
"""

import argparse
import hashlib
import importlib
import json
import sys
import tempfile
import types
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2] / "packages" / "weights" / "test" / "fixtures"

# How the converter's command line spells what a case sets; everything else is its default.
DEFAULTS = dict(
    transformer_impl="local",
    target_tensor_parallel_size=1,
    target_pipeline_parallel_size=1,
    target_expert_parallel_size=1,
    expert_tensor_parallel_size=None,
    num_layer_list=None,
    noop_layers=None,
    num_layers_per_virtual_pipeline_stage=None,
    moe_grouped_gemm=False,
    moe_tp_extend_ep=False,
    mla_mm_split=False,
    schedules_method=None,
    mtp_num_layers=0,
    num_layers=None,
    first_k_dense_replace=None,
    save_layer_by_layer=False,
    hf_cfg_dir=None,
    lora_load=None,
    lora_r=None,
    lora_alpha=None,
    lora_target_modules=[],
    save_lora_to_hf=False,
)
SHORT = dict(
    tp="target_tensor_parallel_size",
    pp="target_pipeline_parallel_size",
    ep="target_expert_parallel_size",
    vpp="num_layers_per_virtual_pipeline_stage",
    impl="transformer_impl",
    grouped="moe_grouped_gemm",
    extend="moe_tp_extend_ep",
    split="mla_mm_split",
    layers="num_layer_list",
    noop="noop_layers",
    schedule="schedules_method",
)

TE = "transformer_engine"
# case: (family fixture, the converter's name of it, settings, changes to config.json)
CASES = {
    "llama": ("llama", "llama2", {}, {}),
    "llama-tp2-pp2": ("llama", "llama2", dict(tp=2, pp=2), {}),
    "llama-tp8-pp4": ("llama", "llama2", dict(tp=8, pp=4), {}),
    "llama-tp2-pp2-vpp1": ("llama", "llama2", dict(tp=2, pp=2, vpp=1), {}),
    "llama-pp2-list": ("llama", "llama2", dict(pp=2, layers="1,3"), {}),
    "llama-pp2-noop": ("llama", "llama2", dict(pp=2, noop="0,5"), {}),
    "llama-pp2-vpp2-noop": ("llama", "llama2", dict(pp=2, vpp=2, noop="3,5,6,7"), {}),
    "llama-pp2-dualpipev": ("llama", "llama2", dict(pp=2, schedule="dualpipev"), {}),
    "llama-pp2-dualpipev-noop": (
        "llama",
        "llama2",
        dict(tp=2, pp=2, schedule="dualpipev", noop="2,3,4,7"),
        {},
    ),
    "llama-te-tp2": ("llama", "llama2", dict(tp=2, impl=TE), {}),
    "llama-tied-tp2-pp2": ("llama-tied", "llama2", dict(tp=2, pp=2), {}),
    "qwen2-tp4-pp2": ("qwen2", "qwen25", dict(tp=4, pp=2), {}),
    "qwen2-tied": ("qwen2-tied", "qwen25", dict(tp=2), {}),
    "qwen3-tp8": ("qwen3", "qwen3", dict(tp=8), {}),
    "baichuan2-tp2-pp4": ("baichuan", "baichuan2", dict(tp=2, pp=4), dict(num_key_value_heads=8)),
    "phi3-tp4": ("phi3", "phi3.5", dict(tp=4), {}),
    "gemma2-tp2-pp2": ("gemma2", "gemma2", dict(tp=2, pp=2), {}),
    "gemma2-te-tp2": ("gemma2", "gemma2", dict(tp=2, impl=TE), {}),
    "mixtral-tp2-ep2": ("mixtral", "mixtral", dict(tp=2, ep=2), dict(num_experts=8)),
    "qwen2-moe-tp2-ep4": ("qwen2-moe", "qwen2-moe", dict(tp=2, ep=4), dict(mlp_only_layers=[])),
    "qwen2-moe-grouped": (
        "qwen2-moe",
        "qwen2-moe",
        dict(tp=2, pp=2, ep=2, grouped=True),
        dict(mlp_only_layers=[]),
    ),
    "qwen3-moe-grouped-tp4": (
        "qwen3-moe",
        "qwen3-moe",
        dict(tp=4, ep=2, grouped=True),
        dict(num_experts=8),
    ),
    "qwen3-moe-te-grouped": (
        "qwen3-moe",
        "qwen3-moe",
        dict(tp=2, ep=4, grouped=True, impl=TE),
        dict(num_experts=8),
    ),
    "qwen3-moe-extend": (
        "qwen3-moe",
        "qwen3-moe",
        dict(tp=2, ep=2, grouped=True, extend=True),
        dict(num_experts=8),
    ),
    "glm4-moe-tp2-pp2-ep2": ("glm4-moe", "glm45-air", dict(tp=2, pp=2, ep=2), dict(use_qk_norm=False)),
    "deepseek2-lite-te": (
        "deepseek2-lite",
        "deepseek2-lite",
        dict(tp=2, ep=2, grouped=True, impl=TE),
        dict(attention_bias=False),
    ),
    "deepseek2-tp4": ("deepseek2", "deepseek2", dict(tp=4, ep=2, pp=2), {}),
    "deepseek3-split": ("deepseek3", "deepseek3", dict(tp=2, ep=8, grouped=True, split=True), {}),
    "deepseek3-dualpipev": (
        "deepseek3",
        "deepseek3",
        dict(tp=2, pp=2, ep=2, grouped=True, schedule="dualpipev"),
        {},
    ),
}

# Divisible by every tensor-parallel size of the cases: the converter pads nothing.
VOCABULARY = 104


def import_converters(checkout):
    for name in ("mindspeed_llm", "mindspeed_llm.tasks", "mindspeed_llm.tasks.checkpoint"):
        module = types.ModuleType(name)
        module.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = module
    base = "mindspeed_llm.tasks.checkpoint"
    return tuple(importlib.import_module(f"{base}.{name}") for name in ("convert_hf2mg", "convert_mg2hf"))


def tensors_of(fixture, changes):
    """Names and shapes as published, with the vocabulary of these cases and every MLP sparse where a change says so."""
    old = fixture["config"]["vocab_size"]
    listed = [(name, [VOCABULARY if n == old else n for n in shape]) for name, shape in fixture["published"]]
    dense = fixture["config"].get("mlp_only_layers", []) if "mlp_only_layers" in changes else []
    for layer in dense:
        prefix, model = f"model.layers.{layer}.mlp.", "model.layers.0.mlp."
        listed = [item for item in listed if not item[0].startswith(prefix)]
        listed += [(name.replace(model, prefix), shape) for name, shape in listed if name.startswith(model)]
    absent = []
    if changes.get("attention_bias") is False:
        absent.append(".bias")
    if changes.get("use_qk_norm") is False:
        absent += ["_norm.weight"]
    listed = [item for item in listed if not item[0].endswith(tuple(absent))]
    depth = fixture["config"].get("num_hidden_layers")
    listed = [item for item in listed if f"model.layers.{depth}." not in item[0]]
    tensors, start = {}, 1
    for name, shape in sorted(listed):
        count = torch.Size(shape).numel()
        tensors[name] = torch.arange(start, start + count, dtype=torch.int32).reshape(shape)
        start += count
    return tensors


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def facts(tensors):
    return {name: [list(t.shape), digest(t)] for name, t in tensors.items()}


def read_ranks(directory):
    ranks = {}
    for file in sorted(directory.glob("iter_0000001/*/model_optim_rng.pt")):
        saved = torch.load(file, weights_only=False)
        models = {key: facts(value) for key, value in saved.items() if key.startswith("model")}
        ranks[file.parent.name] = models
        args = vars(saved["args"])
    return ranks, args


def read_back(directory):
    return {file.name: facts(load_file(file)) for file in sorted(directory.glob("*.safetensors"))}


def make(case, converters, work):
    family, kind, settings, changes = CASES[case]
    fixture = json.loads((ROOT / "families" / f"{family}.json").read_text())
    config = {**fixture["config"], "vocab_size": VOCABULARY, **changes}
    hf, mg, back = work / "hf", work / "mg", work / "back"
    hf.mkdir()
    (hf / "config.json").write_text(json.dumps(config))
    save_file(tensors_of(fixture, changes), hf / "model.safetensors")
    options = {SHORT[key]: value for key, value in settings.items()}
    common = {**DEFAULTS, **options, "model_type_hf": kind}
    to_megatron, to_hf = converters
    to_megatron.Hf2MgConvert(
        argparse.Namespace(**common, load_model_type="hf", save_model_type="mg", load_dir=str(hf), save_dir=str(mg))
    ).run()
    ranks, args = read_ranks(mg)
    result = {
        "family": family,
        "config": {"vocab_size": VOCABULARY, **changes},
        "options": options,
        "ranks": ranks,
        "arguments": {k: v for k, v in args.items() if k not in ("load_dir", "save_dir")},
    }
    to_hf.TENSOR_SIZE, to_hf.hf_weight_dict = 0, to_hf.defaultdict()
    try:
        to_hf.Mg2HfConvert(
            argparse.Namespace(
                **common, load_model_type="mg", save_model_type="hf", load_dir=str(mg), save_dir=str(back)
            )
        ).run()
        result["back"] = read_back(back)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        print(f"{case}: the original's way back fails: {error!r}", file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mindspeed-llm", type=Path, required=True)
    parser.add_argument("cases", nargs="*", default=[])
    options = parser.parse_args()
    converters = import_converters(options.mindspeed_llm)
    target = ROOT / "megatron" / "mindspeed"
    target.mkdir(parents=True, exist_ok=True)
    for case in options.cases or CASES:
        with tempfile.TemporaryDirectory() as work:
            result = make(case, converters, Path(work))
        (target / f"{case}.json").write_text(json.dumps(result, separators=(",", ":"), sort_keys=True) + "\n")
        print(case, len(result["ranks"]), "ranks", "back" in result)


if __name__ == "__main__":
    main()
