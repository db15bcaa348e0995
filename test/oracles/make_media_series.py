"""Writes packages/data/test/fixtures/media/series.json: sensor readings and what Chronos and NumPy make of them.

    python test/oracles/make_media_series.py ASSETS

ASSETS is a folder with BasicMotions_TRAIN.ts (see the fixtures' README.md). Needs the versions of
requirements-media.txt. Chronos cuts readings to 32 bits; all
else is computed in 64.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from chronos.chronos import ChronosConfig, MeanScaleUniformBins

ROOT = Path(__file__).resolve().parents[2] / "packages/data/test/fixtures/media"
torch.set_default_dtype(torch.float64)


def read_cases(folder: Path, count: int) -> list:
    """Six channels of 100 readings at 10 Hz, and what the wearer did."""
    lines = next(folder.rglob("BasicMotions_TRAIN.ts")).read_text().splitlines()
    rows = lines[lines.index("@data") + 1 :][:count]
    cases = []
    for row in rows:
        *channels, label = row.split(":")
        cases.append({"label": label, "values": [[float(x) for x in channel.split(",")] for channel in channels]})
    return cases


def bins_of(values: list, tokens: int) -> dict:
    config = ChronosConfig(
        tokenizer_class="MeanScaleUniformBins", tokenizer_kwargs={"low_limit": -15.0, "high_limit": 15.0},
        context_length=512, prediction_length=64, n_tokens=tokens, n_special_tokens=2, pad_token_id=0, eos_token_id=1,
        use_eos_token=False, model_type="seq2seq", num_samples=20, temperature=1.0, top_k=50, top_p=1.0)
    tokenizer = MeanScaleUniformBins(-15.0, 15.0, config)
    context = torch.tensor(values)
    ids, _, scale = tokenizer._input_transform(context)
    back = tokenizer.output_transform(ids.unsqueeze(1), scale).squeeze(1)
    return {"tokens": tokens, "scale": scale.tolist(), "ids": ids.tolist(), "back": back.tolist()}


def main() -> None:
    cases = read_cases(Path(sys.argv[1]), 2)
    extreme = [[0.0, 0.0, 0.0, 0.0], [1e6, -1e6, 0.0, 1.0], [0.001, 0.001, -0.001, 40.0]]
    values = [*cases[0]["values"], *cases[1]["values"]]
    made = {
        "cases": cases,
        "extreme": extreme,
        "bins": [bins_of(values, 4096), bins_of(values, 256), bins_of(extreme, 4096)],
        "quantiles": [float(np.quantile(np.abs(channel), 0.95)) for channel in values],
    }
    (ROOT / "series.json").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
