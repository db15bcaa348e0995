"""PyTorch baseline for `npm run bench:convert`.

Converts a Llama-shaped Hugging Face checkpoint to Megatron ranks and back, written as a person would
write it: load every file, slice or concatenate tensors, save every file.

    python test/oracles/convert_bench.py to-megatron HF_DIR OUT_DIR --tp 4 --pp 2 [--dtype bf16] [--sync]
    python test/oracles/convert_bench.py to-hf MEGATRON_DIR OUT_DIR --config HF_DIR/config.json --tp 4 --pp 2
    python test/oracles/convert_bench.py same DIR DIR

Each of the first two prints one JSON line with `wallMs` (without importing torch) and `peakRssMb`.
`same` compares two outputs tensor by tensor and prints {"same": true} or what differs.

Names are those of Megatron core's local layer specification; rows of q, k and v are interleaved by
group, gate and up are joined per rank. Tried with torch 2.13 and safetensors 0.8.
"""

import argparse
import glob
import json
import os
import resource
import sys
import time

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
SHARD_BYTES = 2_000_000_000


def read_hf(directory):
    state = {}
    for path in sorted(glob.glob(os.path.join(directory, "*.safetensors"))):
        state.update(load_file(path))
    return state


def rank_path(directory, tp_rank, pp_rank, pp):
    name = f"mp_rank_{tp_rank:02d}" if pp == 1 else f"mp_rank_{tp_rank:02d}_{pp_rank:03d}"
    return os.path.join(directory, "iter_0000001", name, "model_optim_rng.pt")


def flush(path):
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def pack_qkv(q, k, v, groups):
    hidden = q.shape[1]
    parts = [w.reshape(groups, -1, hidden) for w in (q, k, v)]
    return torch.cat(parts, dim=1).reshape(-1, hidden)


def rank_state(hf, config, layers, tp_rank, tp, is_first, is_last):
    part = lambda tensor, dim: tensor.chunk(tp, dim=dim)[tp_rank].clone()
    groups = config["num_key_value_heads"]
    out = {}
    if is_first:
        out["embedding.word_embeddings.weight"] = part(hf["model.embed_tokens.weight"], 0)
    for local, layer in enumerate(layers):
        source, target = f"model.layers.{layer}.", f"decoder.layers.{local}."
        attention = [hf[f"{source}self_attn.{name}_proj.weight"] for name in "qkv"]
        out[target + "input_layernorm.weight"] = hf[source + "input_layernorm.weight"].clone()
        out[target + "self_attention.linear_qkv.weight"] = part(pack_qkv(*attention, groups), 0)
        out[target + "self_attention.linear_proj.weight"] = part(
            hf[source + "self_attn.o_proj.weight"], 1
        )
        out[target + "pre_mlp_layernorm.weight"] = hf[
            source + "post_attention_layernorm.weight"
        ].clone()
        gate, up = (hf[f"{source}mlp.{name}_proj.weight"].chunk(tp, 0) for name in ("gate", "up"))
        out[target + "mlp.linear_fc1.weight"] = torch.cat([gate[tp_rank], up[tp_rank]])
        out[target + "mlp.linear_fc2.weight"] = part(hf[source + "mlp.down_proj.weight"], 1)
    if is_last:
        out["decoder.final_layernorm.weight"] = hf["model.norm.weight"].clone()
        out["output_layer.weight"] = part(hf["lm_head.weight"], 0)
    return out


def to_megatron(args):
    with open(os.path.join(args.source, "config.json")) as file:
        config = json.load(file)
    hf = read_hf(args.source)
    if args.dtype:
        hf = {name: tensor.to(DTYPES[args.dtype]) for name, tensor in hf.items()}
    per_stage = config["num_hidden_layers"] // args.pp
    for pp_rank in range(args.pp):
        layers = range(pp_rank * per_stage, (pp_rank + 1) * per_stage)
        for tp_rank in range(args.tp):
            is_first, is_last = pp_rank == 0, pp_rank == args.pp - 1
            model = rank_state(hf, config, layers, tp_rank, args.tp, is_first, is_last)
            path = rank_path(args.target, tp_rank, pp_rank, args.pp)
            os.makedirs(os.path.dirname(path))
            torch.save({"checkpoint_version": 3.0, "iteration": 1, "model": model}, path)
            if args.sync:
                flush(path)


def unpack_qkv(qkv, config):
    groups, hidden = config["num_key_value_heads"], qkv.shape[1]
    repeats = config["num_attention_heads"] // groups
    blocks = qkv.reshape(groups, repeats + 2, -1, hidden)
    parts = blocks[:, :repeats], blocks[:, repeats], blocks[:, repeats + 1]
    return [part.reshape(-1, hidden) for part in parts]


def stage_state(ranks, config, first_layer):
    cat = lambda name, dim: torch.cat([rank[name] for rank in ranks], dim=dim)
    hf = {}
    if "embedding.word_embeddings.weight" in ranks[0]:
        hf["model.embed_tokens.weight"] = cat("embedding.word_embeddings.weight", 0)
    count = sum(name.endswith("linear_qkv.weight") for name in ranks[0])
    for local in range(count):
        source, target = f"decoder.layers.{local}.", f"model.layers.{first_layer + local}."
        parts = unpack_qkv(cat(source + "self_attention.linear_qkv.weight", 0), config)
        for name, part in zip("qkv", parts):
            hf[f"{target}self_attn.{name}_proj.weight"] = part.contiguous()
        hf[target + "self_attn.o_proj.weight"] = cat(source + "self_attention.linear_proj.weight", 1)
        halves = [rank[source + "mlp.linear_fc1.weight"].chunk(2) for rank in ranks]
        hf[target + "mlp.gate_proj.weight"] = torch.cat([gate for gate, _ in halves])
        hf[target + "mlp.up_proj.weight"] = torch.cat([up for _, up in halves])
        hf[target + "mlp.down_proj.weight"] = cat(source + "mlp.linear_fc2.weight", 1)
        hf[target + "input_layernorm.weight"] = ranks[0][source + "input_layernorm.weight"]
        hf[target + "post_attention_layernorm.weight"] = ranks[0][source + "pre_mlp_layernorm.weight"]
    if "output_layer.weight" in ranks[0]:
        hf["model.norm.weight"] = ranks[0]["decoder.final_layernorm.weight"]
        hf["lm_head.weight"] = cat("output_layer.weight", 0)
    return hf, count


def save_shards(hf, directory, sync):
    shards, size = [{}], 0
    for name, tensor in hf.items():
        if size > 0 and size + tensor.nbytes > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    os.makedirs(directory)
    for index, shard in enumerate(shards):
        path = f"{directory}/model-{index + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, path, metadata={"format": "pt"})
        if sync:
            flush(path)


def to_hf(args):
    with open(args.config) as file:
        config = json.load(file)
    hf, first_layer = {}, 0
    for pp_rank in range(args.pp):
        paths = [rank_path(args.source, tp_rank, pp_rank, args.pp) for tp_rank in range(args.tp)]
        ranks = [torch.load(path, map_location="cpu", weights_only=False)["model"] for path in paths]
        stage, count = stage_state(ranks, config, first_layer)
        hf.update(stage)
        first_layer += count
    save_shards(hf, args.target, args.sync)


def tensors_of(directory):
    """Yields the tensors of an output by file-independent names."""
    for path in sorted(glob.glob(os.path.join(directory, "*.safetensors"))):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():
                yield name, file.get_tensor(name)
    for path in sorted(glob.glob(os.path.join(directory, "*/*/model_optim_rng.pt"))):
        state = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
        rank = os.path.basename(os.path.dirname(path))
        for name, tensor in state["model"].items():
            yield f"{rank} {name}", tensor


def same(args):
    left, right = dict(tensors_of(args.source)), dict(tensors_of(args.target))
    differing = sorted(left.keys() ^ right.keys())
    for name in left.keys() & right.keys():
        a, b = left[name], right[name]
        if a.dtype != b.dtype or not torch.equal(a.view(torch.uint8), b.view(torch.uint8)):
            differing.append(name)
    print(json.dumps({"same": not differing, "tensors": len(left), "differing": differing[:5]}))


def peak_rss_mb():
    """Not getrusage where it can be helped: its maximum begins with what the parent process held."""
    if os.path.exists("/proc/self/status"):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["to-megatron", "to-hf", "same"])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--tp", type=int, default=4)
    parser.add_argument("--pp", type=int, default=2)
    parser.add_argument("--dtype", choices=sorted(DTYPES))
    parser.add_argument("--config")
    parser.add_argument("--sync", action="store_true")
    args = parser.parse_args()
    if args.what == "same":
        same(args)
        return
    begin = time.perf_counter()
    to_megatron(args) if args.what == "to-megatron" else to_hf(args)
    wall_ms = 1000 * (time.perf_counter() - begin)
    print(json.dumps({"wallMs": wall_ms, "peakRssMb": peak_rss_mb()}))
    sys.stdout.flush()


main()
