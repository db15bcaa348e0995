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

With `--serve` it prints one JSON line when it has loaded and warmed up, then waits: for every line
on stdin, which holds a number of steps, it runs them and prints one JSON line with `step_ms`,
`peak_rss_mb` and the last `loss`. End of input ends it. So the bench can let several trainers take
turns.
"""

import argparse
import json
import math
import resource
import statistics
import sys
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


def peak_rss_mb():
    """VmHWM, which unlike ru_maxrss counts nothing of the process that started this one."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Trainer:
    """The model, its optimizer and its one batch; `step` gives milliseconds and loss."""

    def __init__(self, options):
        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
        fastest = options.attention == "fastest"
        self.attention_name = FASTEST[options.dtype] if fastest else options.attention
        self.model = Model(dtype, ATTENTION[self.attention_name], options.sequence)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, weight_decay=0.0, fused=True)
        ids = torch.arange(options.sequence * options.micro_batch).mul(7919).add(13)
        self.ids = ids.remainder(VOCAB).view(options.micro_batch, options.sequence)
        self.labels = self.ids.roll(-1, dims=1)

    def step(self):
        begin = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(self.ids, self.labels)
        loss.backward()
        self.optimizer.step()
        return 1000 * (time.perf_counter() - begin), loss.item()


def measure(options):
    trainer = Trainer(options)
    tokens = options.sequence * options.micro_batch
    step_ms, losses = zip(*(trainer.step() for _ in range(options.warmup + options.steps)))
    timed = step_ms[options.warmup :]
    return {
        "tokens_per_s": round(1000 * tokens / min(timed), 1),
        "tokens_per_s_median": round(1000 * tokens / statistics.median(timed), 1),
        "step_ms": [round(ms, 1) for ms in step_ms],
        "warmup_steps": options.warmup,
        "peak_rss_mb": round(peak_rss_mb()),
        "dtype": options.dtype,
        "threads": options.threads,
        "attention": trainer.attention_name,
        "sequence": options.sequence,
        "micro_batch": options.micro_batch,
        "trained_parameters": sum(p.numel() for p in trainer.trained),
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "loss": [round(value, 4) for value in losses],
        "torch": torch.__version__,
    }


def serve(options):
    trainer = Trainer(options)
    for _ in range(options.warmup):
        trainer.step()
    print(json.dumps({"ready": True, "attention": trainer.attention_name}), flush=True)
    for line in sys.stdin:
        step_ms, losses = zip(*(trainer.step() for _ in range(int(line))))
        turn = {"step_ms": step_ms, "peak_rss_mb": peak_rss_mb(), "loss": losses[-1]}
        print(json.dumps(turn), flush=True)


def main():
    parser = argparse.ArgumentParser(description="LoRA training speed of plain PyTorch")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--sequence", type=int, default=512)
    parser.add_argument("--micro-batch", type=int, default=1)
    parser.add_argument("--attention", choices=["fastest", *ATTENTION], default="fastest")
    parser.add_argument("--serve", action="store_true", help="wait for numbers of steps on stdin")
    options = parser.parse_args()
    if options.serve:
        serve(options)
    else:
        print(json.dumps(measure(options)))


if __name__ == "__main__":
    main()
