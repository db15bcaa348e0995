"""Checkpoints that `tuneyard convert` wrote, taken back to Hugging Face by MindSpeed-LLM's own converter.

    npm run build && python check_megatron_way_back.py --mindspeed-llm CHECKOUT [case ...]

Cases and models are those of make_megatron_convert_goldens.py. Prints one line per case; exits with 1 when a tensor that
comes back is not the one that went in. Writes nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import make_megatron_convert_goldens as goldens
import torch
from safetensors.torch import load_file, save_file

CLI = Path(__file__).resolve().parents[2] / "apps" / "cli" / "bin" / "tuneyard.js"
FLAGS = dict(
    tp="--tp", pp="--pp", ep="--ep", vpp="--layers-per-virtual-stage", noop="--noop-layers", layers="--num-layer-list"
)
DEFAULT_CASES = [
    "llama-tp8-pp4",
    "llama-tp2-pp2-vpp1",
    "llama-pp2-list",
    "llama-pp2-noop",
    "llama-tied-tp2-pp2",
    "qwen2-tp4-pp2",
    "qwen3-tp8",
    "baichuan2-tp2-pp4",
    "gemma2-tp2-pp2",
    "qwen2-moe-tp2-ep4",
    "qwen3-moe-grouped-tp4",
    "deepseek2-tp4",
]


def comes_back(case, converter, work):
    family, kind, settings, changes = goldens.CASES[case]
    fixture = json.loads((goldens.ROOT / "families" / f"{family}.json").read_text())
    hf, mg, back = work / "hf", work / "mg", work / "back"
    hf.mkdir()
    config = {**fixture["config"], "vocab_size": goldens.VOCABULARY, **changes}
    (hf / "config.json").write_text(json.dumps(config))
    tensors = goldens.tensors_of(fixture, changes)
    save_file(tensors, hf / "model.safetensors")
    command = ["node", str(CLI), "convert", str(hf), str(mg), "--to", "megatron"]
    for key, value in settings.items():
        command += ["--moe-grouped-gemm"] if key == "grouped" else [FLAGS[key], str(value)]
    subprocess.run(command, check=True, capture_output=True)
    options = {goldens.SHORT[key]: value for key, value in settings.items()}
    converter.TENSOR_SIZE, converter.hf_weight_dict = 0, converter.defaultdict()
    converter.Mg2HfConvert(
        argparse.Namespace(
            **{**goldens.DEFAULTS, **options},
            model_type_hf=kind,
            load_model_type="mg",
            save_model_type="hf",
            load_dir=str(mg),
            save_dir=str(back),
        )
    ).run()
    found = {}
    for file in back.glob("*.safetensors"):
        found.update(load_file(file))
    return found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mindspeed-llm", type=Path, required=True)
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    _, converter = goldens.import_converters(options.mindspeed_llm)
    failed = 0
    for case in options.cases or DEFAULT_CASES:
        with tempfile.TemporaryDirectory() as work:
            same = comes_back(case, converter, Path(work))
        failed += not same
        print(case, "comes back" if same else "DIFFERS", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
