"""Loads directories that Tuneyard made from GGUF files in transformers and compares with the goldens.

Run: HF_HUB_OFFLINE=1 python test/oracles/check_gguf_families.py DIRECTORY
DIRECTORY holds Hugging Face directories by the names of the goldens in packages/engine/test/fixtures/gguf-families.
Families that transformers has no code for are passed over. Prints one line each; fails on the first difference.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

GOLDENS = Path(__file__).resolve().parents[2] / "packages/engine/test/fixtures/gguf-families"

for path in sorted(GOLDENS.glob("*.json")):
    golden = json.loads(path.read_text())
    folder = Path(sys.argv[1]) / path.stem
    if not folder.exists():
        continue
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] not in CONFIG_MAPPING:
        print(f"{path.stem}: no code in transformers")
        continue
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[key], (path.stem, key, report[key])
    worst = 0.0
    with torch.no_grad():
        for case in golden["cases"]:
            ids, out = case["prompt_ids"], []
            for expected, margin in zip(case["new_ids"], case["margins"]):
                logits = model(torch.tensor([ids + out]), use_cache=False).logits[0, -1].double()
                top = logits.topk(2).values
                worst = max(worst, abs(float(top[0] - top[1]) - margin))
                out.append(int(logits.argmax()))
                assert out[-1] == expected, (path.stem, ids, out)
    print(f"{path.stem}: same ids, margins within {worst:.1e}")
