"""Loads an adapter that Tuneyard wrote with PEFT and prints the logits it gives, as JSON.

    python test/oracles/check_peft_adapter.py ADAPTER_DIR BASE_DIR IDS_JSON
        [--expected FILE] [--brief]

IDS_JSON: `[1, 5, 9]`, or `{"ids": [...]}` with, if you like, `"logits": [[...], ...]` (one row of V
numbers for each id) to compare with; `--expected` names a separate file, JSON of the same form or
safetensors with a tensor called `logits`. Every parameter of the adapter must find its place:
missing and unexpected keys are an error, exit code 1.
"""

import argparse
import json
import pathlib
import sys

import peft
import torch
import transformers
from peft import PeftConfig, get_peft_model, set_peft_model_state_dict
from peft.utils import load_peft_weights
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM


def read_ids(path):
    value = json.loads(pathlib.Path(path).read_text())
    return value if isinstance(value, dict) else {"ids": value}


def read_expected(options, given):
    if options.expected is None:
        return given.get("logits")
    if options.expected.endswith(".safetensors"):
        return load_file(options.expected)["logits"].tolist()
    value = json.loads(pathlib.Path(options.expected).read_text())
    return value["logits"] if isinstance(value, dict) else value


def load_strictly(base, directory):
    """The base with the adapter on it; complains about any key that PEFT did not use."""
    config = PeftConfig.from_pretrained(directory)
    config.inference_mode = True
    model = get_peft_model(base, config)
    wanted = {name.replace(".default.", ".") for name in model.state_dict() if ".default." in name}
    weights = load_peft_weights(directory, device="cpu")
    missing, unexpected = sorted(wanted - set(weights)), sorted(set(weights) - wanted)
    if missing or unexpected:
        sys.exit(f"adapter keys do not match: missing {missing}, unexpected {unexpected}")
    set_peft_model_state_dict(model, weights)
    return model.eval(), len(weights)


def main():
    parser = argparse.ArgumentParser(description="run a LoRA adapter in PEFT")
    parser.add_argument("adapter")
    parser.add_argument("base")
    parser.add_argument("ids")
    parser.add_argument("--expected")
    parser.add_argument("--brief", action="store_true", help="leave the logits out")
    options = parser.parse_args()
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    base = AutoModelForCausalLM.from_pretrained(
        options.base, dtype=torch.float32, attn_implementation="eager"
    )
    given = read_ids(options.ids)
    ids = torch.tensor([given["ids"]])
    with torch.no_grad():
        plain = base(ids).logits[0]
        model, tensors = load_strictly(base, options.adapter)
        logits = model(ids).logits[0]
    report = {
        "peft": peft.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "adapterTensors": tensors,
        "shape": list(logits.shape),
        "maxAbsEffectOfAdapter": (logits - plain).abs().max().item(),
    }
    expected = read_expected(options, given)
    if expected is not None:
        expected = torch.tensor(expected)
        report["maxAbsDifference"] = (logits - expected).abs().max().item()
        report["argmaxAgrees"] = bool((logits.argmax(-1) == expected.argmax(-1)).all())
    if not options.brief:
        report["logits"] = logits.tolist()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
