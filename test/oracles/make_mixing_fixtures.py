"""Writes packages/data/test/fixtures/mixing/*.json: orders of rows as NumPy and Hugging Face datasets make them.

Needs numpy and datasets only (requirements-mixing.txt). Run from the repository's root.
"""

import hashlib
import json
import pathlib

import datasets
import numpy as np
from datasets import Dataset, concatenate_datasets, interleave_datasets

OUT = pathlib.Path("packages/data/test/fixtures/mixing")
SEEDS = [0, 1, 42, 1234, 2**31 - 1, 2**32 - 1, 2**32, 2**53 - 1]


def write(name, cases):
    made_by = f"test/oracles/make_mixing_fixtures.py, numpy {np.__version__}, datasets {datasets.__version__}"
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(f'{{"made_by":{json.dumps(made_by)},\n"cases":[\n{rows}\n]}}\n')


def generator_cases():
    for seed in SEEDS:
        yield {
            "seed": seed,
            "random": [float(x).hex() for x in np.random.default_rng(seed).random(8)],
            "raw": [str(x) for x in np.random.default_rng(seed).bit_generator.random_raw(4)],
            "permutations": [np.random.default_rng(seed).permutation(n).tolist() for n in (0, 1, 2, 7, 40)],
        }
    # One generator, several draws: an odd number of 32-bit draws leaves half a word behind.
    rng = np.random.default_rng(7)
    first, doubles, second = rng.permutation(6), rng.random(3), rng.permutation(9)
    yield {
        "seed": 7,
        "sequence": {
            "first": first.tolist(),
            "random": [float(x).hex() for x in doubles],
            "second": second.tolist(),
        },
    }


def legacy_cases():
    for seed in (0, 42, 1234, 2**32 - 1):
        np.random.seed(seed)
        yield {
            "seed": seed,
            "permutation": np.random.permutation(30).tolist(),
            "choice": np.random.choice(30, 25).tolist(),
            "again": np.random.permutation(700)[:20].tolist(),
        }


def drawn_rows(counts_and_samples, seed):
    """The draws of LLaMA-Factory 0.9.3 for num_samples, one data set after the other."""
    np.random.seed(seed)
    for count, samples in counts_and_samples:
        indexes = np.random.permutation(count)[:samples]
        missing = samples - len(indexes)
        if missing > 0:
            indexes = np.concatenate((indexes, np.random.choice(count, missing)), axis=0)
        yield {"count": count, "numSamples": samples, "rows": indexes.tolist()}


def draw_cases():
    for seed in (42, 7):
        yield {"seed": seed, "datasets": list(drawn_rows([(10, 4), (5, 12), (1, 3), (8, 8)], seed))}


def sets_of(counts):
    return [
        Dataset.from_dict({"d": [i] * count, "r": list(range(count))}) for i, count in enumerate(counts)
    ]


def order_of(mixed):
    return list(zip(mixed["d"], mixed["r"]))


def mixing_cases():
    for counts in ([3], [3, 4, 5], [5, 1, 3], [2, 7], [10, 10, 10, 10]):
        sets = sets_of(counts)
        yield {"counts": counts, "strategy": "concat", "rows": order_of(concatenate_datasets(sets))}
        for strategy, stop in (("interleave_under", "first_exhausted"), ("interleave_over", "all_exhausted")):
            mixed = interleave_datasets(sets, stopping_strategy=stop)
            yield {"counts": counts, "strategy": strategy, "rows": order_of(mixed)}
    weighted = [
        ([3, 4, 5], [0.7, 0.2, 0.1], 42),
        ([3, 4, 5], [0.7, 0.2, 0.1], 1234),
        ([20, 30], [0.5, 0.5], 0),
        ([1, 1, 1], [0.1, 0.2, 0.7], 3),
        ([40, 5, 9, 2], [0.1, 0.3, 0.2, 0.4], 99),
    ]
    for counts, probabilities, seed in weighted:
        sets = sets_of(counts)
        for strategy, stop in (("interleave_under", "first_exhausted"), ("interleave_over", "all_exhausted")):
            mixed = interleave_datasets(sets, probabilities=probabilities, seed=seed, stopping_strategy=stop)
            case = {"counts": counts, "strategy": strategy, "probabilities": probabilities, "seed": seed}
            yield {**case, "rows": order_of(mixed)}
    mixed = interleave_datasets(sets_of([4, 6]), probabilities=[0.0, 1.0], seed=5)
    yield {
        "counts": [4, 6],
        "strategy": "interleave_under",
        "probabilities": [0.0, 1.0],
        "seed": 5,
        "rows": order_of(mixed),
    }


def long_cases():
    """Too many rows to store: a hash of their text."""
    for counts, probabilities, seed in (
        ([1200, 900], [1 / 3, 2 / 3], 7),
        ([12000, 9000, 70], [0.6, 0.399, 0.001], 42),
        ([30000, 20000], None, 0),
    ):
        for strategy, stop in (("interleave_under", "first_exhausted"), ("interleave_over", "all_exhausted")):
            mixed = interleave_datasets(
                sets_of(counts), probabilities=probabilities, seed=seed, stopping_strategy=stop
            )
            text = "".join(f"{d}:{r}\n" for d, r in order_of(mixed))
            yield {
                "counts": counts,
                "strategy": strategy,
                "probabilities": probabilities,
                "seed": seed,
                "length": len(mixed),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }


def split_cases():
    for count, size, seed in (
        (10, 3, 42),
        (10, 0.25, 42),
        (50, 0.1, 0),
        (7, 0.01, 1234),
        (33, 1, 5),
        (200, 0.333, 42),
    ):
        split = sets_of([count])[0].train_test_split(test_size=size, seed=seed)
        yield {
            "count": count,
            "valSize": size,
            "seed": seed,
            "train": split["train"]["r"][:],
            "validation": split["test"]["r"][:],
        }


def slice_cases():
    from datasets import ReadInstruction

    for spec in (
        "train",
        "train[:10]",
        "train[10:20]",
        "train[-5:]",
        "train[:-3]",
        "train[:10%]",
        "train[10%:25%]",
        "train[-10%:]",
        "train[:33%]",
        "train[50%:]+train[:4]",
    ):
        for count in (7, 37, 100, 1003):
            try:
                ranges = ReadInstruction.from_spec(spec).to_absolute({"train": count})
            except (AssertionError, ValueError) as error:
                yield {"split": spec, "count": count, "error": str(error)}
                continue
            yield {"split": spec, "count": count, "ranges": [[r.from_, r.to] for r in ranges]}


if __name__ == "__main__":
    write("generator.json", generator_cases())
    write("legacy.json", legacy_cases())
    write("draws.json", draw_cases())
    write("orders.json", mixing_cases())
    write("long-orders.json", long_cases())
    write("splits.json", split_cases())
    write("slices.json", slice_cases())
