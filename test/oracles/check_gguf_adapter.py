"""Applies an adapter in GGUF to a model in GGUF with llama.cpp, and compares with a merged model.

    python test/oracles/check_gguf_adapter.py LIBRARIES BASE.gguf ADAPTER.gguf MERGED.gguf IDS
        [--tokens 24]

LIBRARIES: the directory of libllama, as node_modules/@node-llama-cpp/linux-x64/bins/linux-x64.
IDS: JSON list of token ids. Prints JSON: the greedy continuation of the base, of the base with the
adapter, and of the merged model, and the largest distance of their logits. Exit code 1 when the last
two continuations differ. Offsets in the options of a context are those of libllama 0.4.0.
"""

import argparse
import ctypes as c
import json
import pathlib
import sys


class Options(c.Structure):
    """Options travel by value; only the library knows their fields."""

    _fields_ = [("bytes", c.c_ubyte * 512)]


class Batch(c.Structure):
    _fields_ = [
        ("n_tokens", c.c_int32),
        ("token", c.c_void_p),
        ("embd", c.c_void_p),
        ("pos", c.c_void_p),
        ("n_seq_id", c.c_void_p),
        ("seq_id", c.c_void_p),
        ("logits", c.c_void_p),
    ]


def load(directory):
    directory = pathlib.Path(directory)
    base = c.CDLL(next(directory.glob("libggml-base*.so*")), mode=c.RTLD_GLOBAL)
    ggml = c.CDLL(next(directory.glob("libggml.*so*")), mode=c.RTLD_GLOBAL)
    ggml.ggml_backend_load_all_from_path(str(directory).encode())
    llama = c.CDLL(next(directory.glob("libllama.v*.so*")), mode=c.RTLD_GLOBAL)
    pointers = {
        "llama_model_load_from_file": [c.c_char_p, Options],
        "llama_init_from_model": [c.c_void_p, Options],
        "llama_adapter_lora_init": [c.c_void_p, c.c_char_p],
        "llama_model_get_vocab": [c.c_void_p],
    }
    for name, arguments in pointers.items():
        function = getattr(llama, name)
        function.restype, function.argtypes = c.c_void_p, arguments
    llama.llama_model_default_params.restype = Options
    llama.llama_context_default_params.restype = Options
    llama.llama_batch_get_one.restype = Batch
    llama.llama_batch_get_one.argtypes = [c.c_void_p, c.c_int32]
    llama.llama_decode.argtypes = [c.c_void_p, Batch]
    llama.llama_vocab_n_tokens.argtypes = [c.c_void_p]
    llama.llama_get_logits_ith.restype = c.POINTER(c.c_float)
    llama.llama_get_logits_ith.argtypes = [c.c_void_p, c.c_int32]
    llama.llama_set_adapters_lora.argtypes = [c.c_void_p, c.c_void_p, c.c_size_t, c.c_void_p]
    quiet = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)(lambda *_: None)
    llama.llama_log_set(quiet, None)
    llama.quiet = (quiet, base)
    return llama


def exact_context(llama, model, length):
    """A context of one thread with an f32 cache, without flash attention."""
    options = llama.llama_context_default_params()
    for offset, value in {0: length, 28: 1, 32: 1, 52: 0, 104: 0, 108: 0}.items():
        options.bytes[offset : offset + 4] = list(value.to_bytes(4, "little"))
    return llama.llama_init_from_model(model, options)


def greedy(llama, path, adapter, ids, count):
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    assert model, path
    context = exact_context(llama, model, len(ids) + count + 8)
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    if adapter is not None:
        handle = llama.llama_adapter_lora_init(model, adapter.encode())
        assert handle, adapter
        handles, scales = (c.c_void_p * 1)(handle), (c.c_float * 1)(1.0)
        assert llama.llama_set_adapters_lora(context, handles, 1, scales) == 0
    chosen, rows, following = [], [], list(ids)
    for _ in range(count):
        tokens = (c.c_int32 * len(following))(*following)
        assert llama.llama_decode(context, llama.llama_batch_get_one(tokens, len(following))) == 0
        row = llama.llama_get_logits_ith(context, -1)[:vocabulary]
        following = [max(range(vocabulary), key=row.__getitem__)]
        chosen.append(following[0])
        rows.append(row)
    return chosen, rows


def main():
    parser = argparse.ArgumentParser(description="apply a GGUF adapter in llama.cpp")
    for name in ["libraries", "base", "adapter", "merged", "ids"]:
        parser.add_argument(name)
    parser.add_argument("--tokens", type=int, default=24)
    options = parser.parse_args()
    llama = load(options.libraries)
    ids = json.loads(options.ids)
    base, base_rows = greedy(llama, options.base, None, ids, options.tokens)
    with_adapter, rows = greedy(llama, options.base, options.adapter, ids, options.tokens)
    merged, merged_rows = greedy(llama, options.merged, None, ids, options.tokens)
    report = {
        "base": base,
        "withAdapter": with_adapter,
        "merged": merged,
        "maxAbsDistance": max(abs(x - y) for a, b in zip(rows, merged_rows) for x, y in zip(a, b)),
        "effectOfAdapter": max(abs(x - y) for x, y in zip(rows[0], base_rows[0])),
    }
    print(json.dumps(report))
    sys.exit(with_adapter != merged)


if __name__ == "__main__":
    main()
