"""Writes indexed data sets and packed rows as the reference code makes them.

    pip install -r test/oracles/requirements-indexed.txt
    pip download --no-deps llamafactory==0.9.3 && unzip llamafactory-0.9.3-*.whl -d LF
    python test/oracles/make_indexed_fixtures.py --mindspeed-llm MS --llama-factory LF

`MS` is a checkout of MindSpeed-LLM, `LF` holds the package `llamafactory`. Neither is imported as a whole, since both
need much that has no part in this: the functions that are asked are taken out of their files and run with stand-ins
for tokenizer, arguments and logger. Files are written by megatron-core's own IndexedDatasetBuilder.
"""

import argparse
import ast
import collections
import json
import logging
import pathlib
import random
import time
import types

import numpy as np
import torch
from megatron.core import __version__ as megatron_version
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMAT_OUT = ROOT / "packages/formats/test/fixtures/indexed-dataset"
PACKING_OUT = ROOT / "packages/data/test/fixtures/packing"
PAD = 2
IGNORE = -100


def build(prefix, documents, dtype=np.int32, modes=None):
    """Documents are lists of sequences; `modes` has one number per sequence."""
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=dtype, multimodal=modes is not None)
    numbers = iter(modes or [])
    for document in documents:
        for sequence in document:
            tensor = torch.tensor(sequence, dtype=torch.int64)
            builder.add_item(tensor, next(numbers)) if modes else builder.add_item(tensor)
        builder.end_document()
    builder.finalize(f"{prefix}.idx")


def write_formats():
    FORMAT_OUT.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    several = [[[rng.randrange(-100, 152000) for _ in range(rng.randrange(0, 9))] for _ in range(n)] for n in (1, 3, 0, 2)]
    small = [[[0, 65499, 7]], [[1]], [[2, 3], [4]]]
    cases = {
        "documented": (dict(documents=[[[1, 2, 3]], [[4, 5]]]), "int32"),
        "several_sequences": (dict(documents=several), "int32"),
        "uint16": (dict(documents=small, dtype=np.uint16), "uint16"),
        "uint8": (dict(documents=[[[0, 255]], [[1]]], dtype=np.uint8), "uint8"),
        "int8": (dict(documents=[[[-128, 127]]], dtype=np.int8), "int8"),
        "int16": (dict(documents=[[[-100, 32767]]], dtype=np.int16), "int16"),
        "int64": (dict(documents=[[[-100, 151935]], [[5]]], dtype=np.int64), "int64"),
        "multimodal": (dict(documents=[[[1, 2], [3]], [[4]]], modes=[0, 1, 0]), "int32"),
        "empty": (dict(documents=[]), "int32"),
    }
    manifest = {}
    for name, (arguments, dtype) in cases.items():
        build(FORMAT_OUT / name, **arguments)
        manifest[name] = {"dtype": dtype, "documents": arguments["documents"], "modes": arguments.get("modes")}
    merged = IndexedDatasetBuilder(str(FORMAT_OUT / "merged.bin"))
    for name in ("documented", "several_sequences", "empty"):
        merged.add_index(str(FORMAT_OUT / name))
    merged.finalize(str(FORMAT_OUT / "merged.idx"))
    documents = [d for name in ("documented", "several_sequences", "empty") for d in manifest[name]["documents"]]
    manifest["merged"] = {"dtype": "int32", "documents": documents, "modes": None}
    dump(FORMAT_OUT / "manifest.json", {"made_by": f"megatron-core {megatron_version}", "sets": manifest})


def dump(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")


class ListBuilder(IndexedDatasetBuilder):
    """MindSpeed-LLM patches the builder so that it takes lists as well."""

    def add_item(self, tokens):
        super().add_item(torch.as_tensor(tokens))


def take(path, *names):
    """Definitions of a file by name, run with the few modules that they use."""
    tree = ast.parse(path.read_text())
    found = [node for node in ast.walk(tree) if getattr(node, "name", None) in names]
    for node in found:
        node.decorator_list = []
    space = {
        "os": __import__("os"), "time": time, "torch": torch, "np": np, "bisect": __import__("bisect"),
        "defaultdict": collections.defaultdict, "chain": __import__("itertools").chain, "Any": object,
        "logger": logging.getLogger("oracle"), "indexed_dataset": types.SimpleNamespace(IndexedDatasetBuilder=ListBuilder), "IGNORE_INDEX": IGNORE,
        "List": list, "Sequence": list, "SupervisedDatasetProcessor": object, "DatasetProcessor": object,
    }
    space["logger"].warning_rank0 = space["logger"].debug
    space["logger"].setLevel(logging.ERROR)
    code = compile(ast.Module(body=found, type_ignores=[]), str(path), "exec", flags=annotations())
    exec(code, space)
    return space


def annotations():
    import __future__

    return __future__.annotations.compiler_flag


class Batches(list):
    """What stands in for a data set: iterated row by row or batch by batch."""

    def iter(self, batch_size):
        for at in range(0, len(self), batch_size):
            rows = self[at : at + batch_size]
            yield {key: [row[key] for row in rows] for key in rows[0]}


def samples_for(seed, count, longest):
    rng = random.Random(seed)
    samples = []
    for _ in range(count):
        length = rng.randrange(1, longest + 1)
        ids = [rng.randrange(3, 1000) for _ in range(length)]
        prompt = rng.randrange(0, length)
        samples.append({"input_ids": ids, "labels": [IGNORE] * prompt + ids[prompt:]})
    return samples


def run_mindspeed(root, name, samples, seq_length, pack, neat):
    folder = root / "mindspeed_llm/tasks/preprocess"
    methods = take(folder / "data_handler.py", "_pack_serialize_to_disk", "_serialize_to_disk")
    methods["greedy_knapsack"] = take(folder / "utils.py", "search_for_fit", "greedy_knapsack")["greedy_knapsack"]
    keys = ["input_ids", "attention_mask", "labels"]
    rows = [{"input_ids": [s["input_ids"]], "attention_mask": [[1] * len(s["input_ids"])], "labels": [s["labels"]]} for s in samples]
    arguments = types.SimpleNamespace(
        split_sentences=False, output_prefix=str(PACKING_OUT / f"{name}_packed"), json_keys=keys,
        seq_length=seq_length, neat_pack=neat, log_interval=10**9,
    )
    handler = types.SimpleNamespace(
        args=arguments, tokenized_dataset=Batches(rows), ignored_label=IGNORE,
        tokenizer=types.SimpleNamespace(vocab_size=1000, pad_token_id=PAD),
    )
    methods["_pack_serialize_to_disk" if pack else "_serialize_to_disk"](handler)
    return {"samples": samples, "seq_length": seq_length, "pack": pack, "neat": neat, "pad": PAD}


def run_llama_factory(root, samples, cutoff, neat):
    folder = root / "llamafactory/data/processor"
    utils = take(folder / "processor_utils.py", "search_for_fit", "greedy_knapsack")
    space = take(folder / "supervised.py", "PackedSupervisedDatasetProcessor")
    space["greedy_knapsack"] = utils["greedy_knapsack"]
    processor = space["PackedSupervisedDatasetProcessor"]()
    processor.data_args = types.SimpleNamespace(cutoff_len=cutoff, neat_packing=neat)
    processor.tokenizer = types.SimpleNamespace(pad_token_id=PAD)
    encoded = iter([(list(s["input_ids"]), list(s["labels"])) for s in samples])
    processor._encode_data_example = lambda **_: next(encoded)
    count = len(samples)
    examples = {"_prompt": [[{}]] * count, "_response": [[{}]] * count}
    examples |= {key: [None] * count for key in ("_system", "_tools", "_images", "_videos", "_audios")}
    rows = processor.preprocess_dataset(examples)
    fields = ("input_ids", "attention_mask", "labels", "position_ids")
    return {"samples": samples, "cutoff_len": cutoff, "neat": neat, "pad": PAD, "rows": {f: rows[f] for f in fields}}


def run_pretrain(root, documents, block, add_bos):
    space = take(root / "llamafactory/data/processor/pretrain.py", "PretrainDatasetProcessor")
    processor = space["PretrainDatasetProcessor"]()
    processor.data_args = types.SimpleNamespace(template="default", packing=True, cutoff_len=block)

    class Letters:
        """Every letter is a token; the end of text is one too."""

        eos_token, bos_token, bos_token_id, add_bos_token = "$", "^", 1, add_bos

        def __call__(self, texts, add_special_tokens):
            return {"input_ids": [[ord(letter) for letter in text] for text in texts]}

    processor.tokenizer = Letters()
    result = processor.preprocess_dataset({"_prompt": [[{"content": text}] for text in documents]})
    return {"documents": documents, "block": block, "bos": 1 if add_bos else None, "rows": result["input_ids"]}


def knapsack_cases(root):
    space = take(root / "llamafactory/data/processor/processor_utils.py", "search_for_fit", "greedy_knapsack", "infer_seqlen")
    rng = random.Random(7)
    cases = [([3, 5, 7, 2, 9, 4, 1], 10)]
    for _ in range(40):
        capacity = rng.randrange(1, 60)
        cases.append(([rng.randrange(1, capacity + 1) for _ in range(rng.randrange(0, 40))], capacity))
    knapsacks = [{"lengths": n, "capacity": c, "packs": space["greedy_knapsack"](list(n), c)} for n, c in cases]
    triples = [(100, 20, 64), (10, 100, 64), (100, 100, 64), (50, 10, 64)]
    triples += [(rng.randrange(0, 200), rng.randrange(1, 200), rng.randrange(1, 200)) for _ in range(300)]
    lengths = [[*t, *space["infer_seqlen"](*t)] for t in triples]
    return {"knapsacks": knapsacks, "infer_seqlen": lengths}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mindspeed-llm", type=pathlib.Path, required=True)
    parser.add_argument("--llama-factory", type=pathlib.Path, required=True)
    options = parser.parse_args()
    write_formats()
    PACKING_OUT.mkdir(parents=True, exist_ok=True)
    dump(PACKING_OUT / "rules.json", knapsack_cases(options.llama_factory))
    samples = samples_for(3, 24, 20)
    modelink = {
        "plain": run_mindspeed(options.mindspeed_llm, "plain", samples, 16, False, False),
        "pack": run_mindspeed(options.mindspeed_llm, "pack", samples, 16, True, False),
        "neat": run_mindspeed(options.mindspeed_llm, "neat", samples, 16, True, True),
    }
    dump(PACKING_OUT / "modellink.json", modelink)
    factory = [run_llama_factory(options.llama_factory, samples, 16, neat) for neat in (False, True)]
    words = ["once upon a time", "a", "the end of the story", "cat", "hats and cats and bats"]
    blocks = [run_pretrain(options.llama_factory, words, block, bos) for block in (8, 13) for bos in (False, True)]
    dump(PACKING_OUT / "llama_factory.json", {"packed": factory, "blocks": blocks})


if __name__ == "__main__":
    main()
