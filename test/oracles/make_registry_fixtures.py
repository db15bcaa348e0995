"""Writes packages/data/test/fixtures/registry/{attributes,mixed/orders}.json: what LLaMA-Factory 0.9.3 reads.

Its parser, loader and converters run as they are, from an unpacked wheel on PYTHONPATH. What they import besides is
stood in for, because nothing of it runs here. Needs requirements-mixing.txt.
"""

import dataclasses
import importlib.util
import json
import pathlib
import sys
import tempfile
import types
from types import SimpleNamespace

import datasets
import numpy as np

OUT = pathlib.Path("packages/data/test/fixtures/registry")
MADE_BY = f"test/oracles/make_registry_fixtures.py, LLaMA-Factory 0.9.3, datasets {datasets.__version__}"


def load_loader():
    package = pathlib.Path(importlib.util.find_spec("llamafactory").submodule_search_locations[0])
    for name in ("lf", "lf.data", "lf.extras"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(package / name[3:])] if name != "lf.extras" else []

    def stand_in(name, **members):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, sys.modules[name])

    def silent(*_):
        pass

    logger = SimpleNamespace(info_rank0=silent, warning_rank0=silent, warning_rank0_once=silent)
    types_by_extension = {"csv": "csv", "json": "json", "jsonl": "json", "txt": "text", "parquet": "parquet"}
    stand_in("lf.extras.logging", get_logger=lambda _: logger)
    stand_in("lf.extras.constants", DATA_CONFIG="dataset_info.json", FILEEXT2TYPE=types_by_extension)
    stand_in(
        "lf.extras.misc",
        use_modelscope=lambda: False,
        use_openmind=lambda: False,
        check_version=None,
        has_tokenized_data=None,
    )
    processors = ["Feedback", "PackedSupervised", "Pairwise", "Pretrain", "Supervised", "Unsupervised"]
    stand_in("lf.data.processor", **{f"{name}DatasetProcessor": object for name in processors})
    return importlib.import_module("lf.data.loader"), importlib.import_module("lf.data.parser")


def orders(loader, cache):
    """Names of rows in the order in which LLaMA-Factory would tokenize them, and its split of them."""
    cases = [
        (["a"], {}),
        (["b"], {}),
        (["b9"], {"max_samples": 7}),
        (["a", "b", "c", "d"], {}),
        (["b", "d", "b9"], {"max_samples": 4, "seed": 7}),
        (["a", "c"], {"mix_strategy": "interleave_under"}),
        (["c", "a", "b9"], {"mix_strategy": "interleave_over", "max_samples": 6}),
        (["a", "d"], {"mix_strategy": "interleave_under", "interleave_probs": [0.25, 0.75], "seed": 5}),
        (["a", "b", "d"], {"mix_strategy": "interleave_over", "interleave_probs": [0.5, 0.2, 0.3]}),
        (["a", "b"], {"val_size": 0.2}),
        (["d", "b", "a"], {"val_size": 4, "mix_strategy": "interleave_over", "seed": 1234}),
    ]
    for names, options in cases:
        seed = options.get("seed", 42)
        data = {
            "dataset_dir": str(OUT / "mixed"),
            "media_dir": str(OUT / "mixed"),
            "streaming": False,
            "preprocessing_num_workers": None,
            "overwrite_cache": True,
            "max_samples": None,
            "mix_strategy": "concat",
            "interleave_probs": None,
            "val_size": 0.0,
        }
        data_args = SimpleNamespace(**{**data, **{k: v for k, v in options.items() if k != "seed"}})
        model_args = SimpleNamespace(cache_dir=cache, hf_hub_token=None, trust_remote_code=False)
        training_args = SimpleNamespace(seed=seed, local_process_index=0)
        np.random.seed(seed)  # transformers.set_seed, as get_train_args ends
        merged = loader._get_merged_dataset(names, model_args, data_args, training_args, "sft")
        parts = loader.split_dataset(merged, None, data_args, seed)

        def rows(part):
            return [f"{row['_prompt'][0]['content']}>{row['_response'][0]['content']}" for row in part]

        yield {
            "names": names,
            **options,
            "seed": seed,
            "rows": rows(merged),
            "train": rows(parts["train"]),
            "validation": rows(parts["validation"]) if "validation" in parts else [],
        }


if __name__ == "__main__":
    loader, parser = load_loader()
    names = list(json.loads((OUT / "dataset_info.json").read_text()))
    attributes = parser.get_dataset_list(names, str(OUT))
    lines = [f"{json.dumps(n)}:{json.dumps(dataclasses.asdict(a))}" for n, a in zip(names, attributes)]
    text = ",\n".join(lines)
    made_by = json.dumps(MADE_BY)
    (OUT / "attributes.json").write_text(f'{{"made_by":{made_by},\n"attributes":{{\n{text}\n}}}}\n')
    with tempfile.TemporaryDirectory() as cache:
        text = ",\n".join(json.dumps(case) for case in orders(loader, cache))
    (OUT / "mixed/orders.json").write_text(f'{{"made_by":{made_by},\n"cases":[\n{text}\n]}}\n')
