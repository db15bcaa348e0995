"""Writes packages/weights/test/fixtures/gguf-adapters/<case>.gguf: adapters as llama.cpp's own converter writes them.

    python test/oracles/make_gguf_adapter_fixtures.py LLAMA_CPP

LLAMA_CPP: a directory with `convert_lora_to_gguf.py`, for example `vendor/llama.cpp` in the source
archive of llama-cpp-python. Needs the output of make_tiny_models.py, make_peft_fixtures.py and
make_lora_merge_fixtures.py.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/weights/test/fixtures"
TINY = ROOT / "packages/engine/test/fixtures/tiny"
CASES = {
    "plain": (FIXTURES / "peft/plain", "llama"),
    "rslora": (FIXTURES / "peft/rslora", "llama"),
    "patterns": (FIXTURES / "peft/patterns", "llama"),
    "embedding": (FIXTURES / "peft-merge/embedding", "llama-linear"),
    "qwen2": (TINY / "qwen2/adapter", "qwen2"),
}


def main():
    converter = pathlib.Path(sys.argv[1]) / "convert_lora_to_gguf.py"
    out = FIXTURES / "gguf-adapters"
    out.mkdir(exist_ok=True)
    for case, (adapter, base) in CASES.items():
        subprocess.run(
            [sys.executable, converter, adapter, "--base", TINY / base, "--outfile", out / f"{case}.gguf"],
            check=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        print(case, (out / f"{case}.gguf").stat().st_size)


if __name__ == "__main__":
    main()
