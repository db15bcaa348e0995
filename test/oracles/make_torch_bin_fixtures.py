"""Writes tiny model directories whose weights are torch files, in the ways that they are found.

    pip install -r test/oracles/requirements.txt
    HF_HUB_OFFLINE=1 python test/oracles/make_torch_bin_fixtures.py

`expected.json` has the SHA-256 of every tensor's row-major bytes. Every directory is loaded with transformers again and
must give the same parameters, so that what is tested is what transformers takes too.
"""

import hashlib
import json
import pathlib
import shutil

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

OUT = pathlib.Path(__file__).resolve().parents[1].parent / "packages/weights/test/fixtures/torch-bin"
SIZES = dict(
    hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
    vocab_size=16, max_position_embeddings=32, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)


def model_of(seed, dtype, tied):
    torch.manual_seed(seed)
    config = LlamaConfig(**SIZES, tie_word_embeddings=tied, dtype=str(dtype).removeprefix("torch."))
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5)
    return model


def sha256(tensor):
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(bytes(raw)).hexdigest()


def finish(name, model, files, index=None):
    directory = OUT / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    model.config.save_pretrained(directory)
    for file, (state, options) in files.items():
        torch.save(state, directory / file, **options)
    if index is not None:
        (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2))
    whole = model.state_dict()
    expected = {key: sha256(tensor) for key, tensor in whole.items()}
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    again = AutoModelForCausalLM.from_pretrained(directory, dtype=model.dtype).state_dict()
    assert all(torch.equal(again[key], whole[key]) for key in whole), name


def strided(state):
    """Everything is a view: matrices of their transposes, all of one storage."""
    flat = torch.cat([torch.zeros(3, dtype=torch.bfloat16), *(t.t().reshape(-1) for t in state.values())])
    views, at = {}, 3
    for key, tensor in state.items():
        view = flat[at : at + tensor.numel()]
        views[key] = view.view(tensor.t().shape).t() if tensor.dim() == 2 else view
        at += tensor.numel()
    return views


def main():
    tied = model_of(1, torch.float32, True)
    finish("tied", tied, {"pytorch_model.bin": (tied.state_dict(), {})})
    views = model_of(2, torch.bfloat16, False)
    finish("strided", views, {"pytorch_model.bin": (strided(views.state_dict()), {})})
    old = model_of(3, torch.float16, False)
    finish("legacy", old, {"pytorch_model.bin": (old.state_dict(), dict(_use_new_zipfile_serialization=False))})
    cut = model_of(4, torch.float32, False)
    state = cut.state_dict()
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    file_of = {key: names[0] if i < 6 else names[1] for i, key in enumerate(state)}
    shards = {name: ({k: v for k, v in state.items() if file_of[k] == name}, {}) for name in names}
    size = sum(t.numel() * t.element_size() for t in state.values())
    finish("sharded", cut, shards, {"metadata": {"total_size": size}, "weight_map": file_of})


if __name__ == "__main__":
    main()
