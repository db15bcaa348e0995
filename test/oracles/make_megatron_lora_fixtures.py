"""Writes packages/weights/test/fixtures/megatron-lora/: a tiny checkpoint with adapters, as a LoRA training saves it.

    python test/oracles/make_megatron_lora_fixtures.py

`unified/` holds base and adapters (PEFT's wrapped names, bf16 base, f32 factors, optimizer and random
state beside them), `lora-only/` the adapters alone (--lora-ckpt-filter), `base/` the base under its plain names, all
with two tensor-parallel ranks, saved by torch.save. `expected-mp_rank_XX.safetensors`: what each rank's merged file
must hold, from float64 rounded to float32 and then to bfloat16.
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "packages/weights/test/fixtures/megatron-lora"
HIDDEN, HEADS, GROUPS, HEAD, FFN, VOCAB, TP = 16, 8, 4, 4, 24, 32, 2
R, ALPHA = 4, 10
LAYER = "decoder.layers.0."


def random(generator, *shape, scale=0.3):
    return torch.randn(*shape, generator=generator) * scale


def base_of(generator, shared):
    """One rank's weights, bf16; norms and embeddings like the trainer's."""
    qkv = (HEADS + 2 * GROUPS) * HEAD // TP
    tensors = {
        "embedding.word_embeddings.weight": random(generator, VOCAB // TP, HIDDEN),
        LAYER + "input_layernorm.weight": shared["norm"],
        LAYER + "self_attention.linear_qkv.weight": random(generator, qkv, HIDDEN),
        LAYER + "self_attention.linear_qkv.bias": random(generator, qkv),
        LAYER + "self_attention.linear_proj.weight": random(generator, HIDDEN, HEADS * HEAD // TP),
        LAYER + "pre_mlp_layernorm.weight": shared["norm"],
        LAYER + "mlp.linear_fc1.weight": random(generator, 2 * FFN // TP, HIDDEN),
        LAYER + "mlp.linear_fc2.weight": random(generator, HIDDEN, FFN // TP),
        "decoder.final_layernorm.weight": shared["norm"],
        "output_layer.weight": random(generator, VOCAB // TP, HIDDEN),
    }
    return {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}


def adapters_of(generator, base, shared):
    """Column-parallel: A replicated; row-parallel: B replicated."""
    tensors = {}
    for module in ["self_attention.linear_qkv", "self_attention.linear_proj", "mlp.linear_fc2"]:
        rows, columns = base[f"{LAYER}{module}.weight"].shape
        name = f"{LAYER}{module}.lora_"
        is_column = module.endswith("qkv")
        own_a, own_b = random(generator, R, columns), random(generator, rows, R)
        tensors[name + "A.default.weight"] = shared["A"][:, :columns].clone() if is_column else own_a
        tensors[name + "B.default.weight"] = own_b if is_column else shared[module]
    return tensors


def wrapped(name, adapters):
    module = name.rsplit(".", 1)[0]
    is_wrapped = f"{module}.lora_A.default.weight" in adapters
    return f"{module}.base_layer.{name.rsplit('.', 1)[1]}" if is_wrapped else name


def merged(base, adapters):
    result = {}
    for name, tensor in base.items():
        a = adapters.get(name.replace(".weight", ".lora_A.default.weight"))
        if a is not None and name.endswith(".weight"):
            b = adapters[name.replace(".weight", ".lora_B.default.weight")]
            exact = tensor.double() + ALPHA / R * (b.double() @ a.double())
            tensor = exact.float().to(torch.bfloat16)
        result[name] = tensor.clone()
    return result


def save(kind, rank, model, args):
    path = OUT / kind / "iter_0000010" / f"mp_rank_{rank:02d}"
    path.mkdir(parents=True, exist_ok=True)
    state = {"args": args, "checkpoint_version": 3.0, "iteration": 10, "model": model}
    if kind == "unified":
        state["optimizer"] = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}
        state["rng_state"] = [{"torch_rng_state": torch.arange(4, dtype=torch.uint8)}]
    torch.save(state, path / "model_optim_rng.pt")
    (OUT / kind / "latest_checkpointed_iteration.txt").write_text("10")


def main():
    shared_generator = torch.Generator().manual_seed(7)
    shared = {
        "norm": random(shared_generator, HIDDEN) + 1,
        "A": random(shared_generator, R, HIDDEN),
        "self_attention.linear_proj": random(shared_generator, HIDDEN, R),
        "mlp.linear_fc2": random(shared_generator, HIDDEN, R),
    }
    for rank in range(TP):
        generator = torch.Generator().manual_seed(100 + rank)
        base = base_of(generator, shared)
        adapters = adapters_of(generator, base, shared)
        args = argparse.Namespace(
            tensor_model_parallel_size=TP,
            pipeline_model_parallel_size=1,
            params_dtype=torch.bfloat16,
            lora_r=R,
            lora_alpha=ALPHA,
            lora_target_modules=["linear_qkv", "linear_proj", "linear_fc2"],
            lora_load=None,
        )
        together = {wrapped(name, adapters): tensor for name, tensor in base.items()}
        save("unified", rank, {**together, **adapters}, args)
        save("lora-only", rank, adapters, args)
        save("base", rank, base, argparse.Namespace(tensor_model_parallel_size=TP))
        save_file(merged(base, adapters), OUT / f"expected-mp_rank_{rank:02d}.safetensors")


if __name__ == "__main__":
    main()
