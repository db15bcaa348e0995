"""Shards that AscendSpeed's converter makes of a tiny Llama, as hashes.

    python make_ascendspeed_convert_goldens.py --ascendspeed CHECKOUT

CHECKOUT holds `tasks/ckpt_convert/llama` of AscendSpeed (Apache-2.0); its converter is run as it is, told of one more
size of model. It is the oldest of them: as many key and value heads as query heads, tail rows as padding, `release/`, and
a flat dictionary whose names later versions changed. Model and hashes as in make_megatron_convert_goldens.py. Written:
packages/weights/test/fixtures/megatron/ascendspeed.json.

Needs: requirements-megatron.txt. A second run gives the same bytes.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

import torch
from make_megatron_convert_goldens import ROOT, digest

DIVISIONS = [(1, 1), (2, 2), (8, 1)]
DIVISIBLE_BY = 8
LAYERS, HIDDEN, HEADS = 4, 64, 16


def tensors():
    fixture = json.loads((ROOT / "families" / "llama.json").read_text())
    found, start = {}, 1
    for name, shape in sorted(map(tuple, fixture["published"])):
        if "k_proj" in name or "v_proj" in name:
            shape = [HIDDEN, HIDDEN]
        count = torch.Size(shape).numel()
        found[name] = torch.arange(start, start + count, dtype=torch.int32).reshape(shape)
        start += count
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ascendspeed", type=Path, required=True)
    options = parser.parse_args()
    result = {"config": {"num_key_value_heads": HEADS}, "divisible_by": DIVISIBLE_BY, "divisions": {}}
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "hf"
        source.mkdir()
        weights = tensors()
        for layer in range(LAYERS):
            weights[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.zeros(2)
        torch.save(weights, source / "pytorch_model-00001-of-00001.bin")
        index = {"weight_map": {name: "pytorch_model-00001-of-00001.bin" for name in weights}}
        (source / "pytorch_model.bin.index.json").write_text(json.dumps(index))
        sys.path.insert(0, str(options.ascendspeed / "tasks" / "ckpt_convert" / "llama"))
        sys.argv = ["convert", "--input-model-dir", str(source)]
        converter = importlib.import_module("convert_weights_from_huggingface")
        converter.model_config["7B"] = [LAYERS, HIDDEN, HEADS]
        for tp, pp in DIVISIONS:
            out = Path(work) / f"tp{tp}-pp{pp}"
            converter.make_ascendspeed_model_dirs(str(out))
            converter.generate_ascendspeed_weights(tp, pp, "7B", str(out), DIVISIBLE_BY)
            ranks = {}
            for file in sorted(out.glob("release/*/model_optim_rng.pt")):
                saved = torch.load(file, weights_only=False)
                assert saved["checkpoint_version"] == 3.0
                ranks[file.parent.name] = {
                    name: [list(t.shape), digest(t)] for name, t in saved["model"].items() if "inv_freq" not in name
                }
            tracker = (out / "latest_checkpointed_iteration.txt").read_text()
            result["divisions"][f"tp{tp}-pp{pp}"] = {"ranks": ranks, "tracker": tracker}
    target = ROOT / "megatron" / "ascendspeed.json"
    target.write_text(json.dumps(result, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
