"""PyTorch baseline for `npm run bench:train`.

LoRA fine-tuning steps of a Llama-shaped model of 134M parameters (85M of them in the blocks) with
random weights, written as a person would write it in plain PyTorch: modules, autograd, fused AdamW,
no compilation. It prints one JSON line and nothing else.

    env -u OPENBLAS_CORETYPE python test/oracles/train_bench.py --dtype f32 --threads 2

Shape: hidden 768, 12 layers, 12 query and 12 key/value heads of 64, feed-forward 2048, vocabulary
32000, untied head. LoRA rank 8, alpha 16 on all seven linear layers of every block; AdamW on the
adapters, which are kept in float32 also when the base is bfloat16. The loss covers every position.

`tokens_per_s` comes from the fastest step after the warm-up, which is the kindest figure for the
baseline; `tokens_per_s_median` from the median. Take five steps or more: the first two or three are
slow. `--attention fastest` means written-out attention in float32 and
`scaled_dot_product_attention` in bfloat16. Where this was tuned (2 cores of an AMD EPYC with
AVX-512, otherwise nearly idle) the two are close: best steps over several runs gave 281-322 against
276-311 tokens/s in float32, and 727-806 against 742-824 in bfloat16.
"""

import argparse
import json
import math
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FEED_FORWARD, VOCAB = 768, 12, 12, 12, 64, 2048, 32000
LORA_RANK, LORA_ALPHA = 8, 16
NORM_EPS, ROPE_THETA = 1e-5, 10000.0


def random_weight(rows, columns, dtype):
    return (torch.randn(rows, columns) / math.sqrt(columns)).to(dtype)


class LoraLinear(nn.Module):
    """A frozen linear layer plus a trained low-rank correction."""

    def __init__(self, inputs, outputs, dtype):
        super().__init__()
        self.weight = nn.Parameter(random_weight(outputs, inputs, dtype), requires_grad=False)
        self.lora_a = nn.Parameter(random_weight(LORA_RANK, inputs, torch.float32))
        self.lora_b = nn.Parameter(0.01 * torch.randn(outputs, LORA_RANK))
        self.scale = LORA_ALPHA / LORA_RANK

    def forward(self, x):
        low_rank = F.linear(x, self.lora_a.to(x.dtype))
        return F.linear(x, self.weight) + F.linear(low_rank, self.lora_b.to(x.dtype)) * self.scale


class RmsNorm(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN, dtype=dtype), requires_grad=False)

    def forward(self, x):
        return F.rms_norm(x, (HIDDEN,), self.weight, NORM_EPS)


def rotary_tables(length, dtype):
    frequencies = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM)
    angles = torch.outer(torch.arange(length).float(), frequencies)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def eager_attention(query, key, value):
    length = query.shape[-2]
    scores = query @ key.transpose(-1, -2) / math.sqrt(HEAD_DIM)
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    return (
        scores.masked_fill(future, float("-inf"))
        .softmax(dim=-1, dtype=torch.float32)
        .to(query.dtype)
        @ value
    )


def sdpa_attention(query, key, value):
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


ATTENTION = {"sdpa": sdpa_attention, "eager": eager_attention}
FASTEST = {"f32": "eager", "bf16": "sdpa"}


class Block(nn.Module):
    def __init__(self, dtype, attention):
        super().__init__()
        self.attention = attention
        self.input_norm, self.post_norm = RmsNorm(dtype), RmsNorm(dtype)
        self.q_proj = LoraLinear(HIDDEN, HEADS * HEAD_DIM, dtype)
        self.k_proj = LoraLinear(HIDDEN, KV_HEADS * HEAD_DIM, dtype)
        self.v_proj = LoraLinear(HIDDEN, KV_HEADS * HEAD_DIM, dtype)
        self.o_proj = LoraLinear(HEADS * HEAD_DIM, HIDDEN, dtype)
        self.gate_proj = LoraLinear(HIDDEN, FEED_FORWARD, dtype)
        self.up_proj = LoraLinear(HIDDEN, FEED_FORWARD, dtype)
        self.down_proj = LoraLinear(FEED_FORWARD, HIDDEN, dtype)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape

        def heads(projected):
            return projected.view(batch, length, -1, HEAD_DIM).transpose(1, 2)

        normed = self.input_norm(x)
        query = rotate(heads(self.q_proj(normed)), cos, sin)
        key = rotate(heads(self.k_proj(normed)), cos, sin)
        mixed = self.attention(query, key, heads(self.v_proj(normed)))
        x = x + self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))
        normed = self.post_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(normed)) * self.up_proj(normed))


class Model(nn.Module):
    def __init__(self, dtype, attention, length):
        super().__init__()
        self.embedding = nn.Parameter(random_weight(VOCAB, HIDDEN, dtype), requires_grad=False)
        self.blocks = nn.ModuleList(Block(dtype, attention) for _ in range(LAYERS))
        self.norm = RmsNorm(dtype)
        self.head = nn.Parameter(random_weight(VOCAB, HIDDEN, dtype), requires_grad=False)
        self.cos, self.sin = rotary_tables(length, dtype)

    def forward(self, ids, labels):
        x = F.embedding(ids, self.embedding)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.head)
        return F.cross_entropy(logits.view(-1, VOCAB).float(), labels.view(-1))


def measure(options):
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    attention_name = FASTEST[options.dtype] if options.attention == "fastest" else options.attention
    attention = ATTENTION[attention_name]
    model = Model(dtype, attention, options.sequence)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=True)
    tokens = options.sequence * options.micro_batch
    ids = torch.arange(tokens).mul(7919).add(13).remainder(VOCAB)
    ids = ids.view(options.micro_batch, options.sequence)
    labels = ids.roll(-1, dims=1)
    step_ms, losses = [], []
    for _ in range(options.warmup + options.steps):
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model(ids, labels)
        loss.backward()
        optimizer.step()
        step_ms.append(1000 * (time.perf_counter() - begin))
        losses.append(loss.item())
    timed = step_ms[options.warmup :]
    return {
        "tokens_per_s": round(1000 * tokens / min(timed), 1),
        "tokens_per_s_median": round(1000 * tokens / statistics.median(timed), 1),
        "step_ms": [round(ms, 1) for ms in step_ms],
        "warmup_steps": options.warmup,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "dtype": options.dtype,
        "threads": options.threads,
        "attention": attention_name,
        "sequence": options.sequence,
        "micro_batch": options.micro_batch,
        "trained_parameters": sum(p.numel() for p in trained),
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": [round(value, 4) for value in losses],
        "torch": torch.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description="LoRA training speed of plain PyTorch")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--sequence", type=int, default=512)
    parser.add_argument("--micro-batch", type=int, default=1)
    parser.add_argument("--attention", choices=["fastest", *ATTENTION], default="fastest")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
