"""Runs the record handlers of MindSpeed-LLM over a few records and writes the tokens that they make.

The handlers are the original's own code, taken from a checkout; only what does not run here is stood in for: Megatron,
torch_npu and the datasets package. What is recorded is what a handler hands to the writer of .bin files, before rows are
skipped for their length. The cases are in packages/data/test/fixtures/handlers/cases.json.

    .cache/oracles/bin/python test/oracles/make_mindspeed_handler_fixtures.py PATH_OF_CHECKOUT [--check]

With --check nothing is written: the results are compared with those that are there. That works for older checkouts, from the
time when the project was called ModelLink, too; cases whose handler such a checkout lacks, and those of templates, which were
others then, are passed over.
"""

import copy
import gzip
import importlib
import json
import sys
import tempfile
import types
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import torch  # noqa: F401  before the stand-ins
from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
TOKENIZERS = ROOT / "packages/data/test/fixtures/tokenizer"
FIXTURES = ROOT / "packages/data/test/fixtures/handlers"
NO_CUTOFF = 1 << 20


def load_handlers(checkout):
    """Imports data_handler and its utils from a checkout whose other parts stay unread."""
    package = "mindspeed_llm" if (checkout / "mindspeed_llm").is_dir() else "modellink"
    for name in (package, f"{package}.tasks", f"{package}.tasks.preprocess"):
        module = types.ModuleType(name)
        module.__path__ = [str(checkout / name.replace(".", "/"))]
        sys.modules[name] = module
    for name in ("datasets", "megatron", "megatron.core", "megatron.core.datasets", "megatron.core.datasets.indexed_dataset",
                 "megatron.training", "megatron.legacy", "megatron.legacy.data", "megatron.legacy.data.dataset_utils",
                 f"{package}.training", f"{package}.training.utils", f"{package}.training.tokenizer",
                 f"{package}.tasks.posttrain", f"{package}.tasks.posttrain.utils",
                 f"{package}.tasks.utils", f"{package}.tasks.utils.error_utils", f"{package}.error_utils"):
        sys.modules[name] = MagicMock(__path__=[])
    sys.path.insert(0, str(checkout))
    handlers = importlib.import_module(f"{package}.tasks.preprocess.data_handler")
    utils = importlib.import_module(f"{package}.tasks.preprocess.utils")
    templates = importlib.import_module(f"{package}.tasks.preprocess.templates")
    return handlers, utils, templates


class RecordTokenizer(PreTrainedTokenizerFast):
    """The handlers expect a list of ids where newer versions of the package give a dictionary."""

    pad_id = -1

    def apply_chat_template(self, conversation, **kwargs):
        return super().apply_chat_template(conversation, return_dict=False, **kwargs)


def open_tokenizer(setup):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        source = TOKENIZERS / setup["file"]
        data = source.read_bytes()
        path.write_bytes(gzip.decompress(data) if source.suffix == ".gz" else data)
        tokenizer = RecordTokenizer(tokenizer_file=str(path), **setup["tokens"])
    if setup.get("added"):
        tokenizer.add_tokens(setup["added"], special_tokens=True)
    if setup.get("chat_template"):
        tokenizer.chat_template = setup["chat_template"]
    return tokenizer


def arguments_of(case, checkout):
    settings = case["settings"]
    return SimpleNamespace(
        handler_name=case["handler"], seq_length=case.get("seq_length", NO_CUTOFF), streaming=False, workers=1,
        json_keys=list(settings.get("jsonKeys", ["text"])), append_eod=settings.get("appendEod", False),
        output_prefix="x", split_sentences=False, pad_to_multiple_of=1, neat_pack=False, pack=False,
        prompt_type=case.get("prompt_type") or "empty", prompt_type_path=str(checkout / "configs/finetune/templates.json"),
        enable_thinking=case.get("enable_thinking"), reasoning_effort=None, drop_thinking=True,
        map_keys=settings.get("mapKeys"), dataset_additional_keys=list(settings.get("additionalKeys", [])))


class Columns:
    """As much of a data set as the original asks for its column names."""

    def __init__(self, records):
        self.format = {"columns": sorted({key for record in records for key in record})}


def intermediate(utils, args, records):
    """The records as the template handlers take them; what the original drops is None."""
    attributes = utils.get_handler_dataset_attr(args, Columns(records))
    if "Hunyuan" in args.handler_name:
        convert = utils.convert_hunyuan_to_intermediate
    elif "OpenAI" in args.handler_name:
        convert = utils.convert_openai_to_intermediate
    elif attributes.formatting == "alpaca":
        convert = utils.convert_alpaca_to_intermediate
    else:
        convert = utils.convert_sharegpt_to_intermediate
    converted = [convert(record, attributes) for record in records]
    return [sample if sample["prompt"] and sample["response"] else None for sample in converted]


def run_case(case, tokenizer_setup, modules, checkout):
    handlers, utils, templates = modules
    args = arguments_of(case, checkout)
    # A template keeps the settings that it was first asked for with; one process of the original runs one job.
    templates.templates.clear()
    tokenizer = open_tokenizer(tokenizer_setup)
    if case.get("prompt_type"):
        templates.fix_model_tokenizer(tokenizer, args.prompt_type, args.prompt_type_path, args.enable_thinking)
    wrapped = SimpleNamespace(tokenizer=tokenizer, eod=tokenizer.eos_token_id, vocab_size=len(tokenizer))
    records = copy.deepcopy(case["records"])
    samples = intermediate(utils, args, records) if case.get("prompt_type") else records
    handler = getattr(handlers, case["handler"])(args, samples, wrapped, SimpleNamespace(tokenize=lambda *text: text))
    return [None if sample is None else sequences_of(handler, sample, args.json_keys) for sample in samples]


def sequences_of(handler, sample, keys):
    made = handler._filter(sample)
    return {key: [[int(token) for token in sequence] for sequence in made[key]] for key in keys}


def compact(result):
    """Leaves the mask out where it is all ones, which is all that the original ever writes without packing."""
    if result is None:
        return None
    masks = result.pop("attention_mask", None)
    if masks is not None:
        assert [[1] * len(ids) for ids in result["input_ids"]] == masks
    return result


def main():
    checkout = Path(sys.argv[1]).resolve()
    modules = load_handlers(checkout)
    cases = json.loads((FIXTURES / "cases.json").read_text())
    lines, passed = [], []
    for case in cases["cases"]:
        is_old = modules[0].__name__.startswith("modellink")
        known = hasattr(modules[0], case["handler"]) and not (is_old and case.get("prompt_type"))
        for name in case["tokenizers"]:
            key = {"case": case["name"], "tokenizer": name}
            if not known:
                passed.append(key)
                continue
            results = run_case(case, cases["tokenizers"][name], modules, checkout)
            lines.append(json.dumps({**key, "rows": [compact(result) for result in results]}, separators=(",", ":")))
    path = FIXTURES / "expected.jsonl"
    if "--check" not in sys.argv:
        path.write_text("\n".join(lines) + "\n")
        print(f"{len(lines)} results written")
        return
    there = path.read_text().splitlines()
    different = [line[:80] for line in lines if line not in there]
    print(f"{len(lines)} results, {len(different)} different, {len(passed)} without handler")
    for line in different:
        print(line)


if __name__ == "__main__":
    main()
