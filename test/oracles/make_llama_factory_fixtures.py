"""Runs LLaMA-Factory 0.9.3 over every one of its templates and writes what it makes of a few dialogues.

Only its data modules are used: torch, datasets and peft are stood in for, because nothing of them runs here. Templates of
models that read images get the plugin of text models, so what is recorded is their text part.

    python3 -m venv .cache/llama-factory
    .cache/llama-factory/bin/pip install -r test/oracles/requirements-llama-factory.txt
    .cache/llama-factory/bin/pip install --no-deps llamafactory==0.9.3
    .cache/llama-factory/bin/python test/oracles/make_llama_factory_fixtures.py
"""

import copy
import datetime
import gzip
import importlib
import importlib.util
import json
import random
import re
import shutil
import sys
import tempfile
import types
from pathlib import Path
from types import SimpleNamespace

import transformers
import transformers.image_utils  # noqa: F401  before the stand-ins, which it would ask for
from transformers import AutoTokenizer

from llama_factory_random import RandomDialogues

ROOT = Path(__file__).resolve().parents[2]
TOKENIZERS = ROOT / "packages/data/test/fixtures/tokenizer"
OUT = ROOT / "packages/data/test/fixtures/llama-factory"
NO_CUTOFF = 1 << 20
TODAY = datetime.datetime(2025, 6, 17, 12, 0)


def load_llama_factory():
    """Imports template and processors without the packages that only training needs."""

    def stand_in(name, **members):
        module = types.ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module

    class Nothing:
        pass

    stand_in("torch", Tensor=Nothing, LongTensor=Nothing, no_grad=lambda: lambda function: function)
    stand_in("datasets", DatasetDict=Nothing, concatenate_datasets=None, interleave_datasets=None)
    stand_in("peft")
    stand_in("peft.utils", SAFETENSORS_WEIGHTS_NAME="", WEIGHTS_NAME="")
    folder = Path(importlib.util.find_spec("llamafactory").submodule_search_locations[0])
    for name, path in (("llamafactory", folder), ("llamafactory.data", folder / "data"),
                       ("llamafactory.extras", folder / "extras")):
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    template = importlib.import_module("llamafactory.data.template")
    tools = importlib.import_module("llamafactory.data.tool_utils")
    tools.datetime = SimpleNamespace(now=lambda: TODAY)
    return template, importlib.import_module("llamafactory.data.processor"), tools


lf, processors, tool_utils = load_llama_factory()

# --- the registry, field by field -------------------------------------------------------------------------------------


def slots_of(formatter):
    """Slots as JSON; phi_small names a token where only two names mean anything, so that slot writes nothing."""
    slots = []
    for slot in formatter.slots:
        if not isinstance(slot, set):
            slots.append(slot)
        elif slot & {"bos_token", "eos_token"}:
            slots.append({"special": next(iter(slot)).removesuffix("_token")})
    return slots


def describe(template):
    media = {kind: getattr(template.mm_plugin, f"{kind}_token") for kind in ("image", "video", "audio")}
    return {
        "class": type(template).__name__,
        "prefix": slots_of(template.format_prefix),
        "system": slots_of(template.format_system),
        "user": slots_of(template.format_user),
        "assistant": slots_of(template.format_assistant),
        "function": slots_of(template.format_function),
        "observation": slots_of(template.format_observation),
        "toolFormat": [template.format_function.tool_format, template.format_tools.tool_format],
        "defaultSystem": template.default_system,
        "stopWords": template.stop_words,
        "thoughtWords": list(template.thought_words),
        "efficientEos": template.efficient_eos,
        "replaceEos": template.replace_eos,
        "media": {kind: token for kind, token in media.items() if token},
    }


# --- tokenizers -------------------------------------------------------------------------------------------------------

MARKER = re.compile(
    r"<\|[^|<>\s]+\|>|<｜[^｜<>]+｜>|</?[A-Za-z_\u4e00-\u9fff]+[0-9_]*>|\[\|[a-zA-Z]+\|\]|\[/?[A-Z_]{3,}\]|\[gMASK\]"
    r"|\[\|[A-Za-z]+\|\]:|◁/?think▷|<<?/?SYS>>?"
)


def markers():
    """Every marker of every template, and tokens that templates name."""
    found = {}
    for template in lf.TEMPLATES.values():
        for part in ("prefix", "system", "user", "assistant", "function", "observation"):
            for slot in getattr(template, f"format_{part}").slots:
                if isinstance(slot, dict):
                    found[slot["token"]] = None
                elif isinstance(slot, str):
                    found.update(dict.fromkeys(MARKER.findall(slot)))
        found.update(dict.fromkeys(word for word in template.stop_words if MARKER.fullmatch(word)))
        found.update(dict.fromkeys(template.thought_words))
    return list(found)


def plain_config(bos, eos):
    return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos,
            "clean_up_tokenization_spaces": False}


def tokenizer_specs():
    """Recipes that the tests follow too: a base, tokens added at its end, and a tokenizer_config.json."""
    return {
        "qwen-marked": {"base": "qwen3", "added": [*markers(), "<|begin_of_text|>"],
                        "config": plain_config("<|begin_of_text|>", "<|endoftext|>")},
        "mistral-marked": {"base": "mistral-7b-v0.1", "added": markers(), "config": None},
        "phi-3-mini": {"base": "phi-3-mini", "added": [], "config": None},
        "gpt2": {"base": "gpt2", "added": [],
                 "config": {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<|endoftext|>",
                            "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}},
    }


def make_folder(spec, folder):
    base = TOKENIZERS / spec["base"]
    for packed in [*base.glob("vocab.json.gz"), *base.glob("merges.txt.gz")]:
        text = gzip.decompress(packed.read_bytes())
        if packed.name.startswith("merges") and not text.startswith(b"#version"):
            text = b"#version: 0.2\n" + text  # transformers takes the first line for a header
        (folder / packed.name.removesuffix(".gz")).write_bytes(text)
    packed = base / "tokenizer.json.gz"
    if packed.exists():
        whole = json.loads(gzip.decompress(packed.read_bytes()))
        known = {token["content"] for token in whole["added_tokens"]}
        taken = [*whole["model"]["vocab"].values(), *(token["id"] for token in whole["added_tokens"])]
        fresh = [content for content in spec["added"] if content not in known]
        free = max(taken) + 1
        for content in fresh:
            in_vocab = whole["model"]["vocab"].get(content)
            whole["added_tokens"].append({
                "id": free if in_vocab is None else in_vocab, "content": content, "single_word": False,
                "lstrip": False, "rstrip": False, "normalized": False, "special": True})
            free += in_vocab is None
        (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    config = folder / "tokenizer_config.json"
    if spec["config"] is None:
        shutil.copy(base / "tokenizer_config.json", config)
    else:
        config.write_text(json.dumps(spec["config"], ensure_ascii=False), encoding="utf-8")


# --- dialogues --------------------------------------------------------------------------------------------------------

TOOLS = [
    {"name": "weather", "description": "Current weather of a city, 城市天气",
     "parameters": {"type": "object", "properties": {
         "city": {"type": "string", "description": "name of the city"},
         "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
         "days": {"type": "array", "items": {"type": "integer"}, "description": "which days"}},
         "required": ["city"]}},
    {"type": "function", "function": {"name": "add", "description": "Adds \"numbers\"",
     "parameters": {"type": "object", "properties": {
         "a": {"type": "number", "default": 1.0}, "b": {"type": ["number", "null"]}},
         "required": ["a", "b"]}}},
]


def turns(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


DIALOGUES = {
    "single": {"messages": turns("Name three primary colours.", "Red, yellow and blue.")},
    "talk": {"messages": turns(
        "你好，请介绍一下北京。", "北京是中国的首都，历史悠久。🏯", "And Paris? Été là-bas…",
        "Paris is the capital of France.\n\nIt lies on the Seine.", " Thanks ", "You are welcome!")},
    "system": {"system": "You answer in one word.", "messages": turns(
        "Which is larger, 7 or 3?", "7", "Which is smaller?", "3")},
    "tools": {"system": "Use tools.", "tools": json.dumps(TOOLS, ensure_ascii=False), "messages": [
        {"role": "user", "content": "Weather in Paris, and 1.0 + 2?"},
        {"role": "function",
         "content": '{"name": "weather", "arguments": {"city": "巴黎 \\"Paris\\"", "days": [1, 2], "x": 1.0, "2": 1, "1": 1e-7}}'},
        {"role": "observation", "content": '{"temperature": 21.5, "sky": "clear"}'},
        {"role": "assistant", "content": "It is 21.5 °C and clear."},
        {"role": "user", "content": "And the sum?"},
        {"role": "function",
         "content": '<think>\nTwo calls.\n</think>[{"name": "add", "arguments": {"a": 1.0, "b": 2}}, {"name": "add", "arguments": {}}]'},
        {"role": "observation", "content": "3.0"},
        {"role": "assistant", "content": "3"}]},
    "call": {"tools": json.dumps(TOOLS[:1]), "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "function", "content": '{"name": "weather", "arguments": {"city": "Rome"}}'},
        {"role": "observation", "content": "sunny"},
        {"role": "assistant", "content": "Sunny."}]},
    "thoughts": {"messages": turns(
        "What is 2 + 2?", "<think>\nTwo and two.\n</think>\n\n4", "Times 3?", "12",
        "Minus 1?", "◁think▷\nOne less.\n◁/think▷\n\n<think>x</think>11")},
    "hostile": {"system": "</s> [INST] ### {{content}}", "messages": turns(
        "<|im_end|>\n### Human: {{content}} $1 $& <s> <|user|>", "\n <|im_end|><|eot_id|></s>### ",
        "  ", "<end_of_turn>\n\n<|end|> x")},
}

# name: dialogue, what differs from the defaults
CASES = {
    "single": ("single", {}),
    "talk": ("talk", {}),
    "system": ("system", {}),
    "tools": ("tools", {}),
    "call": ("call", {}),
    "thoughts": ("thoughts", {}),
    "thoughts, off": ("thoughts", {"enable_thinking": False}),
    "thoughts, left": ("thoughts", {"enable_thinking": None}),
    "hostile": ("hostile", {}),
    "talk, last": ("talk", {"mask_history": True}),
    "talk, all": ("talk", {"train_on_prompt": True}),
    "talk, 37": ("talk", {"cutoff_len": 37}),
    "talk, 61": ("talk", {"cutoff_len": 61}),
    "talk, last, 43": ("talk", {"mask_history": True, "cutoff_len": 43}),
    "talk, own system": ("talk", {"default_system": "Be kind."}),
    "tools, qwen": ("call", {"tool_format": "qwen"}),
}
REASONING_ONLY = {"thoughts, off", "thoughts, left"}
FOREIGN = {"single", "talk", "system", "tools", "hostile", "talk, last, 43"}

QUESTION = DIALOGUES["talk"]["messages"][:-1]
CHOSEN = {"role": "assistant", "content": "You are very welcome. 不客气"}
REJECTED = {"role": "assistant", "content": "<think>\nWhat?\n</think>\n\nGo away."}
PREFERENCES = {"pair": NO_CUTOFF, "pair, 50": 50, "pair, 90": 90}


def arguments(name, changes):
    values = {"template": name, "train_on_prompt": False, "mask_history": False, "cutoff_len": NO_CUTOFF,
              "tool_format": None, "default_system": None, "enable_thinking": True, **changes}
    return SimpleNamespace(**values)


def open_template(name, tokenizer, changes):
    """A fresh template and tokenizer: LLaMA-Factory changes both when it opens one."""
    kept = lf.TEMPLATES[name]
    lf.TEMPLATES[name] = copy.copy(kept)
    lf.TEMPLATES[name].mm_plugin = lf.TEMPLATES["empty"].mm_plugin
    options = arguments(name, changes)
    try:
        template = lf.get_template_and_fix_tokenizer(tokenizer, options)
    finally:
        lf.TEMPLATES[name] = kept
    return template, options


def packed(labels):
    """Labels as written to the fixture: -n stands for n masked positions."""
    out = []
    for label in labels:
        if label != -100:
            out.append(label)
        elif out and out[-1] < 0:
            out[-1] -= 1
        else:
            out.append(-1)
    return out


def supervised(template, options, tokenizer, dialogue):
    processor = processors.SupervisedDatasetProcessor(template, tokenizer, None, options)
    *prompt, answer = copy.deepcopy(dialogue["messages"])
    ids, labels = processor._encode_data_example(
        prompt, [answer], dialogue.get("system", ""), dialogue.get("tools", ""), [], [], [])
    assert len(ids) == len(labels)
    return {"ids": ids, "labels": packed(labels)}


def run_case(name, tokenizer, case):
    dialogue, changes = CASES[case]
    try:
        template, options = open_template(name, tokenizer, changes)
        return supervised(template, options, tokenizer, DIALOGUES[dialogue])
    except (ValueError, RuntimeError) as error:
        return {"refused": str(error)}


def run_preferences(name, tokenizer):
    out = {}
    for case, cutoff in PREFERENCES.items():
        template, options = open_template(name, tokenizer, {"cutoff_len": cutoff, "enable_thinking": cutoff != 90})
        pair = processors.PairwiseDatasetProcessor(template, tokenizer, None, options)
        chosen, chosen_labels, rejected, rejected_labels = pair._encode_data_example(
            copy.deepcopy(QUESTION), [dict(CHOSEN), dict(REJECTED)], "", "", [], [], [])
        kto = processors.FeedbackDatasetProcessor(template, tokenizer, None, options)
        liked = [dict(REJECTED), {"role": "assistant", "content": ""}]
        ids, labels, _, _, tag = kto._encode_data_example(
            copy.deepcopy(QUESTION), liked, liked, "Be kind.", "", [], [], [])
        assert tag
        out[case] = {"chosen": chosen, "chosenLabels": packed(chosen_labels),
                     "rejected": rejected, "rejectedLabels": packed(rejected_labels),
                     "kto": ids, "ktoLabels": packed(labels)}
    return out


def run_prompt(name, tokenizer, thinking):
    """The prompt as the chat engine makes it."""
    template, _ = open_template(name, tokenizer, {"enable_thinking": thinking})
    messages = [*copy.deepcopy(DIALOGUES["thoughts"]["messages"][:5]), {"role": "assistant", "content": ""}]
    return template.encode_oneturn(tokenizer, messages, "Count.", None)[0]


def run_document(name, tokenizer):
    """A raw text with what ends it."""
    _, options = open_template(name, tokenizer, {"packing": False})
    processor = processors.PretrainDatasetProcessor(None, tokenizer, None, options)
    text = "One text.\nAnother line."
    return processor.preprocess_dataset({"_prompt": [[{"content": text}]]})["input_ids"][0]


SENTENCEPIECE = ("llama2 llama2_zh mistral llava_next_mistral llava_next_video_mistral gemma gemma3 paligemma "
                 "paligemma_chat baichuan baichuan2 chatglm2 chatglm3 codegeex2 intern intern2 cpm vicuna zephyr "
                 "openchat orion solar xverse yayi yuan atom aquila belle breeze xuanyuan telechat index cpm3 yi "
                 "yi_vl llava llava_next video_llava llava_next_video alpaca minicpm_v").split()


def names_tokens(name):
    template = lf.TEMPLATES[name]
    parts = [getattr(template, f"format_{part}").slots for part in ("prefix", "system", "user", "observation")]
    return any(isinstance(slot, dict) for part in parts for slot in part)


def run_template(name, tokenizers):
    """Opening a template twice changes nothing more, so a template has one copy of each tokenizer."""
    home = "mistral-marked" if name in SENTENCEPIECE else "qwen-marked"
    away = "phi-3-mini" if home == "qwen-marked" else "gpt2"
    own = "phi-3-mini" if name in ("phi", "phi_small", "starchat") else home
    is_reasoning = isinstance(lf.TEMPLATES[name], lf.ReasoningTemplate)
    tokenizer = copy.deepcopy(tokenizers[own])
    entry = {"tokenizer": own, "cases": {
        case: run_case(name, tokenizer, case) for case in CASES if is_reasoning or case not in REASONING_ONLY}}
    entry["preferences"] = run_preferences(name, tokenizer)
    entry["prompt"] = run_prompt(name, tokenizer, True)
    if is_reasoning:
        entry["promptThinkingOff"] = run_prompt(name, tokenizer, False)
    entry["document"] = run_document(name, tokenizer)
    template, _ = open_template(name, tokenizer, {})
    entry["eos"] = tokenizer.eos_token_id
    entry["stop"] = sorted(template.get_stop_token_ids(tokenizer))
    if not names_tokens(name):
        foreign = copy.deepcopy(tokenizers[away])
        entry["foreign"] = {"tokenizer": away, "vocabBefore": len(foreign)}
        entry["foreign"]["cases"] = {case: run_case(name, foreign, case) for case in sorted(FOREIGN)}
        entry["foreign"]["vocabAfter"] = len(foreign)
    return entry


RANDOM_PER_TEMPLATE = 4


def run_random(name, tokenizers, dialogues):
    """Cases that could come out otherwise by our own policies are left out: answers of blanks, and those cut away."""
    own = "mistral-marked" if name in SENTENCEPIECE else "qwen-marked"
    tokenizer = copy.deepcopy(tokenizers[own])
    cases = []
    while len(cases) < RANDOM_PER_TEMPLATE:
        dialogue, settings = dialogues.dialogue(), dialogues.settings()
        try:
            template, options = open_template(name, tokenizer, settings)
            result = supervised(template, options, tokenizer, dialogue)
        except (ValueError, RuntimeError, AssertionError):
            continue
        if sum(label >= 0 for label in result["labels"]) > 2:
            cases.append({"template": name, "tokenizer": own, "dialogue": dialogue, "settings": settings, **result})
    return cases


PYTHON_JSON = [
    '{"b": 1.0, "2": [], "1": {"x": -0, "y": 1e-5, "z": 1E20, "w": 123456789012345678901234567890}}',
    '[1e16, 1e15, 0.0001, 0.00001234, 1.5e300, -0.0, 1e22, 123456789.123, 5e-324, 100.0, 1e5, 3.0E0]',
    '"\\u00e9\\n\\t\\b\\f\\r\\u0001\\u007f\\"\\\\\\/ \\ud83d\\ude00 \u2028"',
    '{"a": {}, "b": [{}], "c": [[1, [2]], null, true, false], "a": 2}',
]
PYTHON_TEXT = ['["a\'b", "c\\"d", "e\'\\"f", "\\n\\t\\u00a0\\u200b\\u0007 é 中 \\ud83d\\ude00"]', '{"k": [null, true, 1.50]}',
               '"bare\\n"', 'null', '1e3', '["\\u0085\\u2028\\ue000\\u0378"]']


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    registry = {name: describe(template) for name, template in lf.TEMPLATES.items()}
    write(OUT / "registry.json", {"llamafactory": "0.9.3", "templates": registry})
    write(OUT / "python-json.json", {
        "python": sys.version.split()[0],
        "json": [{"text": text, "flat": json.dumps(json.loads(text), ensure_ascii=False),
                  "indented": json.dumps(json.loads(text), ensure_ascii=False, indent=4)} for text in PYTHON_JSON],
        "text": [{"text": text, "str": str(json.loads(text))} for text in PYTHON_TEXT]})
    specs = tokenizer_specs()
    tokenizers = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, spec in specs.items():
            folder = Path(temporary) / name
            folder.mkdir()
            make_folder(spec, folder)
            tokenizers[name] = AutoTokenizer.from_pretrained(str(folder))
        entries = {name: run_template(name, tokenizers) for name in lf.TEMPLATES}
        dialogues = RandomDialogues(random.Random(11))
        cases = [case for name in lf.TEMPLATES for case in run_random(name, tokenizers, dialogues)]
    whole = {
        "llamafactory": "0.9.3", "transformers": transformers.__version__, "date": "17 Jun 2025",
        "tokenizers": specs, "dialogues": DIALOGUES,
        "cases": {case: {"dialogue": dialogue, **changes} for case, (dialogue, changes) in CASES.items()},
        "preferences": {"question": QUESTION, "chosen": CHOSEN, "rejected": REJECTED, "cutoffs": PREFERENCES},
        "templates": entries,
    }
    pack(OUT / "samples.json.gz", whole)
    pack(OUT / "random.json.gz", {"llamafactory": "0.9.3", "seed": 11, "cases": cases})


def pack(path, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{path.name}: {len(text)} bytes, packed {path.stat().st_size}")


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


main()
