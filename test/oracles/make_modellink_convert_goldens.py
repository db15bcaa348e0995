"""Shards that ModelLink's first converter makes of tiny models, as hashes.

    python make_modellink_convert_goldens.py --modellink CHECKOUT [case ...]

CHECKOUT holds `modellink/tasks/checkpoint` of ModelLink (Apache-2.0). Its reading of Hugging Face modules
(`models.HuggingfaceModel`, `loader_hf.get_message_*`) and its cutting (`saver.set_model_*`) are run as they are. Modules
of Megatron, which it fills, are stood in for by a tree that keeps whatever is copied into it; what of Megatron it
imports is empty. Models and hashes as in make_megatron_convert_goldens.py, but with the vocabulary of the fixtures, so
that padding shows. Written: packages/weights/test/fixtures/megatron/modellink/<case>.json.

Needs: requirements-megatron.txt. A second run gives the same bytes.
"""

import argparse
import importlib
import json
import sys
import tempfile
import types
from pathlib import Path

import torch
from make_megatron_convert_goldens import ROOT, digest

# case: (family fixture, the converter's name of it, settings, its own flags)
CASES = {
    "llama-legacy": ("llama", "llama2", dict(tp=2, pp=2, mcore=False), {}),
    "llama-tied-legacy": ("llama-tied", "llama2", dict(tp=2, pp=4, mcore=False), {}),
    "qwen2-legacy": ("qwen2", "llama2", dict(tp=4, pp=1, mcore=False), dict(add_qkv_bias=True)),
    "baichuan-legacy": ("baichuan", "baichuan2", dict(tp=8, pp=1, mcore=False), {}),
    "chatglm-legacy": ("chatglm", "chatglm3", dict(tp=2, pp=2, mcore=False), dict(add_qkv_bias=True)),
    "chatglm-core": ("chatglm", "chatglm3", dict(tp=4, pp=2, mcore=True), dict(add_qkv_bias=True)),
    "qwen-core": ("qwen", "qwen", dict(tp=2, pp=1, mcore=True), dict(add_qkv_bias=True)),
    "llama-tied-core": ("llama-tied", "llama2", dict(tp=2, pp=2, mcore=True), {}),
}
DIVISIBLE_BY = 16


class Source:
    """A module made of named tensors; numbers in names are places in a list."""

    def __init__(self):
        self.bias = None

    def __getitem__(self, index):
        return getattr(self, str(index))


class Target:
    """A module of any shape that keeps what is copied into it."""

    def __init__(self, path, kept):
        self.path, self.kept = path, kept

    def __getattr__(self, name):
        if name == "position_embeddings" or name.startswith("__"):
            raise AttributeError(name)
        return Target(f"{self.path}.{name}" if self.path else name, self.kept)

    def __getitem__(self, index):
        return Target(f"{self.path}.{index}", self.kept)

    def copy_(self, data):
        self.kept[self.path.removesuffix(".data")] = data.detach().clone()


def import_modellink(checkout):
    """Stands in for what the converter imports of Megatron; none of it computes a weight."""

    class Anything(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return lambda *given, **_: given[0] if given else None

    for name in (
        "megatron megatron.core megatron.core.enums megatron.training megatron.training.arguments megatron.legacy "
        "megatron.legacy.model megatron.training.checkpointing megatron.training.global_vars modellink.training "
        "modellink.training.utils modellink.training.checkpointing"
    ).split():
        sys.modules[name] = Anything(name)
        sys.modules[name].__path__ = []
    for name in ("modellink", "modellink.tasks", "modellink.tasks.checkpoint"):
        module = types.ModuleType(name)
        module.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = module
    base = "modellink.tasks.checkpoint"
    return tuple(importlib.import_module(f"{base}.{name}") for name in ("models", "loader_hf", "saver"))


def source_tree(fixture):
    root, start = Source(), 1
    for name, shape in sorted(map(tuple, fixture["published"])):
        count = torch.Size(shape).numel()
        node, path = root, name.split(".")
        for part in path[:-1]:
            if not hasattr(node, part):
                setattr(node, part, Source())
            node = getattr(node, part)
        setattr(node, path[-1], torch.arange(start, start + count, dtype=torch.int32).reshape(shape))
        start += count
    return root


def make(case, modules, work):
    models, loader, saver = modules
    family, kind, settings, flags = CASES[case]
    fixture = json.loads((ROOT / "families" / f"{family}.json").read_text())
    # The converter knows neither nulls nor families whose keys are not under the names of its table.
    config = {"num_key_value_heads": fixture["config"]["num_attention_heads"] if kind != "chatglm3" else 1}
    config.update(fixture["config"])
    (work / "config.json").write_text(json.dumps(config))
    command = argparse.Namespace(
        model_type_hf=kind,
        load_dir=str(work),
        save_model_type="mg",
        add_qkv_bias=False,
        add_dense_bias=False,
        post_norm=False,
        use_mcore_models=settings["mcore"],
    )
    vars(command).update(flags)
    hf = models.HuggingfaceModel(command)
    hf.module = [source_tree(fixture)]
    hf.args.num_experts = None
    hf.has_embedding_position_embeddings_module = lambda: False
    tp, pp = settings["tp"], settings["pp"]
    vocabulary, step = hf.args.vocab_size, DIVISIBLE_BY * tp
    margs = argparse.Namespace(
        tensor_model_parallel_size=tp,
        pipeline_model_parallel_size=pp,
        expert_model_parallel_size=1,
        padded_vocab_size=-(-vocabulary // step) * step,
        post_norm=False,
        num_experts=None,
        add_qkv_bias=command.add_qkv_bias,
        use_mcore_models=settings["mcore"],
        add_dense_bias=False,
    )
    untied = hf.args.untie_embeddings_and_output_weights
    md = argparse.Namespace(
        true_vocab_size=vocabulary,
        position_embedding_type="rope",
        norm_has_bias=False,
        linear_bias=False,
        swiglu=True,
        output_layer=untied,
    )
    mg_class = models.MegatronMCoreModel if settings["mcore"] else models.MegatronLegacyModel
    mg = mg_class.__new__(mg_class)
    models.ModelBase.__init__(mg, command)
    mg.args, mg.md = margs, md
    layers = hf.args.num_layers
    ranks, embedding = {}, None
    for stage in range(pp):
        kept = [{} for _ in range(tp)]
        mg.module = [[[Target("", kept[t]) for t in range(tp)]]]
        place = dict(vp_rank=0, pp_rank=stage)
        if stage == 0:
            embedding = saver.set_model_preprocess(mg, loader.get_message_preprocess(hf, md))
        for local in range(layers // pp):
            layer = stage * layers // pp + local
            message = loader.get_message_layer_norm({}, hf, layer, md, command)
            message = loader.get_message_layer_attn(message, hf, layer, md, command)
            message = loader.get_message_layer_mlp(message, hf, layer, md)
            saver.set_model_layer_norm(mg, message, md, layer_idx=local, **place)
            saver.set_model_layer_attn(mg, message, md, layer_idx=local, **place)
            saver.set_model_layer_mlp(mg, message, md, layer, layer_idx=local, **place)
        if stage == pp - 1:
            saver.set_model_postprocess(mg, loader.get_message_postprocess(hf, md), md, embedding, **place)
            if untied:
                saver.set_model_output_layer(mg, loader.get_message_output_layer(hf, md), md, **place)
        for t in range(tp):
            name = f"mp_rank_{t:02d}" + (f"_{stage:03d}" if pp > 1 else "")
            ranks[name] = {path: [list(v.shape), digest(v)] for path, v in kept[t].items()}
    return {"family": family, "settings": settings, "divisible_by": DIVISIBLE_BY, "ranks": ranks}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--modellink", type=Path, required=True)
    parser.add_argument("cases", nargs="*", default=[])
    options = parser.parse_args()
    import transformers  # noqa: F401 (before anything is stood in for)

    modules = import_modellink(options.modellink)
    target = ROOT / "megatron" / "modellink"
    target.mkdir(parents=True, exist_ok=True)
    for case in options.cases or CASES:
        with tempfile.TemporaryDirectory() as work:
            result = make(case, modules, Path(work))
        (target / f"{case}.json").write_text(json.dumps(result, separators=(",", ":"), sort_keys=True) + "\n")
        print(case, len(result["ranks"]))


if __name__ == "__main__":
    main()
