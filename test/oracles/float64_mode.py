"""Runs the transformers Llama, Mistral, Qwen2 and Qwen3 models wholly in float64.

Their code names `torch.float32` in RMSNorm, softmax and rotary embedding, so `model.double()` alone
still rounds there. Inside `float64_mode()` those names mean float64. Inverse frequencies stay the
float32 values that transformers computed, widened.
"""

import contextlib

import torch
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

MODULES = [modeling_llama, modeling_mistral, modeling_qwen2, modeling_qwen3]


class WideTorch:
    """The torch module, except that its single precision is double."""

    float32 = torch.float64
    float = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def float64_mode():
    for module in MODULES:
        module.torch = WideTorch()
    try:
        yield
    finally:
        for module in MODULES:
            module.torch = torch
