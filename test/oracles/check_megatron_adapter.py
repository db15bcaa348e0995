"""Puts an adapter that Tuneyard wrote for Megatron into PEFT's wrappers of Megatron-core's parallel layers.

    python test/oracles/check_megatron_adapter.py MEGATRON_ADAPTER PEFT_ADAPTER BASE

Starts one process per tensor-parallel rank (gloo, CPU). Each loads its rank's factors strictly by name into
LoraParallelLinear around a Column- or RowParallelLinear whose own weight is zero, and applies it to the unit matrix:
what comes out is the update. The updates, gathered and taken apart as the layout says, must be those of the PEFT
adapter. Prints the largest distance per kind of module; exit code 1 above 1e-5. Needs megatron-core beside peft.
"""

import json
import pathlib
import sys
import tempfile

import torch
import torch.multiprocessing as mp


def megatron_tensors(directory, rank):
    path = pathlib.Path(directory) / "iter_0000001" / f"mp_rank_{rank:02d}" / "model_optim_rng.pt"
    state = torch.load(path, weights_only=False)
    return state["model"], vars(state["args"])


def wrapped_layer(kind, a, b, args, config):
    from megatron.core import tensor_parallel
    from peft import LoraConfig
    from peft.tuners.lora.tp_layer import LoraParallelLinear

    size = args["tensor_model_parallel_size"]
    common = dict(config=config, init_method=torch.nn.init.zeros_, bias=False, skip_bias_add=True)
    if kind == "column":
        base = tensor_parallel.ColumnParallelLinear(
            a.shape[1], b.shape[0] * size, gather_output=False, **common
        )
    else:
        base = tensor_parallel.RowParallelLinear(
            a.shape[1] * size, b.shape[0], input_is_parallel=True, **common
        )
    # Without initial values: PEFT 0.21 fails over them in this class, and all are loaded here.
    lora = LoraConfig(
        r=args["lora_r"],
        lora_alpha=args["lora_alpha"],
        target_modules=["x"],
        init_lora_weights=False,
    )
    layer = LoraParallelLinear(
        base,
        "default",
        config=lora,
        backend=tensor_parallel,
        r=args["lora_r"],
        lora_alpha=args["lora_alpha"],
        megatron_config=config,
    )
    factors = {"lora_A.default.weight": a, "lora_B.default.weight": b}
    missing, unexpected = layer.load_state_dict(factors, strict=False)
    assert not unexpected and all(name.startswith("base_layer") for name in missing), missing
    return layer.float()


def applied(layer, x):
    """What the wrapper adds to its layer: B(A(x)) · scaling; Megatron's layers return a bias beside the output."""
    with torch.no_grad():
        for step in (layer.lora_A["default"], layer.lora_B["default"]):
            result = step(x)
            x = result[0] if isinstance(result, tuple) else result
        return x * layer.scaling["default"]


def rank_updates(rank, size, directory, port, results):
    from megatron.core import parallel_state
    from megatron.core.transformer.transformer_config import TransformerConfig

    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size
    )
    parallel_state.initialize_model_parallel(tensor_model_parallel_size=size)
    config = TransformerConfig(
        num_layers=1,
        hidden_size=8,
        num_attention_heads=size,
        tensor_model_parallel_size=size,
        use_cpu_initialization=True,
    )
    tensors, args = megatron_tensors(directory, rank)
    updates = {}
    for name in sorted(tensors):
        if ".lora_A." not in name:
            continue
        module = name.split(".lora_A.")[0]
        a, b = tensors[name], tensors[name.replace("lora_A", "lora_B")]
        kind = "column" if module.endswith(("linear_qkv", "linear_fc1")) else "row"
        layer = wrapped_layer(kind, a, b, args, config)
        width = a.shape[1]
        unit = torch.eye(width if kind == "column" else width * size)
        if kind == "row":
            unit = unit[:, rank * width : (rank + 1) * width].contiguous()
        updates[module] = applied(layer, unit).T.contiguous()
    torch.save(updates, pathlib.Path(results) / f"{rank}.pt")
    torch.distributed.barrier()


def gathered(parts, module, sizes):
    """PEFT module path → update, from the ranks' updates of one Megatron module."""
    heads, groups, head = sizes
    if module.endswith(("linear_proj", "linear_fc2")):
        return {"self_attn.o_proj" if module.endswith("proj") else "mlp.down_proj": parts[0]}
    if module.endswith("linear_fc1"):
        halves = [part.chunk(2) for part in parts]
        return {f"mlp.{n}_proj": torch.cat([h[i] for h in halves]) for i, n in enumerate(["gate", "up"])}
    packed = torch.cat(parts)
    blocks = packed.view(groups, heads // groups + 2, head, -1)
    cuts = {"q": blocks[:, :-2], "k": blocks[:, -2], "v": blocks[:, -1]}
    return {f"self_attn.{n}_proj": x.reshape(-1, packed.shape[1]) for n, x in cuts.items()}


def peft_update(model, module):
    layer = model.base_model.model.get_submodule(module)
    return layer.get_delta_weight("default") if hasattr(layer, "lora_A") else None


def main():
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    directory, adapter, base = sys.argv[1:4]
    _, args = megatron_tensors(directory, 0)
    size = args["tensor_model_parallel_size"]
    with tempfile.TemporaryDirectory() as results:
        mp.spawn(rank_updates, (size, directory, 29617, results), nprocs=size)
        by_rank = [torch.load(pathlib.Path(results) / f"{rank}.pt") for rank in range(size)]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    config = model.base_model.model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    sizes = (config.num_attention_heads, config.num_key_value_heads, head)
    worst = {}
    for module in by_rank[0]:
        parts = [updates[module] for updates in by_rank]
        layer = module.split(".")[2]
        for name, update in gathered(parts, module, sizes).items():
            expected = peft_update(model, f"model.layers.{layer}.{name}")
            expected = torch.zeros_like(update) if expected is None else expected.detach()
            distance = (update - expected).abs().max().item()
            worst[name] = max(worst.get(name, 0), distance)
    print(json.dumps({"lora_r": args["lora_r"], "lora_alpha": args["lora_alpha"], "worst": worst}))
    sys.exit(max(worst.values()) > 1e-5)


if __name__ == "__main__":
    main()
