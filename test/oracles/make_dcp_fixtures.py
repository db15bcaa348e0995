"""Writes distributed checkpoints as PyTorch and megatron-core save them, and what their tensors should be.

    pip install -r test/oracles/requirements-dcp.txt
    python test/oracles/make_dcp_fixtures.py [case ...]

Two processes speak gloo on the CPU, so that tensors are really cut among ranks. Megatron-core wants a GPU for two
calls that do nothing here; they are replaced. `expected.json` of each case has the whole tensors by name: dtype,
shape and the SHA-256 of their bytes, put together here from what each rank holds, not read back from the files.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import socket
import sys
import warnings

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.checkpoint import filesystem

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/formats/test/fixtures/torch-dcp"
NAMES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}


def facts(tensor):
    tensor = tensor.detach().contiguous()
    raw = bytes(tensor.reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "sha256": hashlib.sha256(raw).hexdigest()}


def write_expected(directory, tensors, objects=(), **more):
    expected = {"tensors": {name: facts(t) for name, t in tensors.items()}, "objects": sorted(objects), **more}
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def every_dtype(seed):
    g = torch.Generator().manual_seed(seed)
    base = torch.randn(3, 5, generator=g)
    return {name.lower(): (base * 9).to(dtype) for dtype, name in NAMES.items()}


# ---------------------------------------------------------------- one process


def case_plain(directory):
    """Every dtype, odd shapes, a transposed tensor, objects; one process without a process group."""
    g = torch.Generator().manual_seed(1)
    turned = torch.randn(4, 6, generator=g).t()
    state = {
        "model": {
            **every_dtype(2),
            "scalar": torch.tensor(2.5),
            "nothing": torch.zeros(0, 4),
            "three": torch.randn(2, 3, 4, generator=g).to(torch.bfloat16),
            "turned": turned,
            "part": torch.arange(40.0)[10:22].reshape(3, 4),
        },
        "step": 7,
        "note": "written by PyTorch",
        "list": [torch.arange(3), {"deep": True}],
    }
    dcp.save(state, storage_writer=dcp.FileSystemWriter(directory, thread_count=2), no_dist=True)
    tensors = {f"model.{k}": v for k, v in state["model"].items()} | {"list.0": state["list"][0]}
    write_expected(directory, tensors, ["step", "note", "list.1.deep"])


def case_file_per_item(directory):
    """A file for each tensor."""
    state = {"a": torch.arange(6).reshape(2, 3), "b": torch.ones(3, dtype=torch.float16), "n": 3}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(directory, single_file_per_rank=False), no_dist=True)
    write_expected(directory, {"a": state["a"], "b": state["b"]}, ["n"])


def case_safetensors_distcp(directory):
    """Files ending in .distcp that hold safetensors."""
    from torch.distributed.checkpoint.filesystem import SerializationFormat

    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    writer = dcp.FileSystemWriter(directory, serialization_format=SerializationFormat.SAFETENSORS)
    dcp.save(state, storage_writer=writer, no_dist=True)
    write_expected(directory, state)


# --------------------------------------------------------------- two processes


def mesh_state(rank):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (2,))
    g = torch.Generator().manual_seed(3)
    whole = {
        "rows": torch.randn(7, 4, generator=g),
        "columns": torch.randn(4, 6, generator=g).to(torch.bfloat16),
        "copy": torch.randn(5, generator=g),
        "three": torch.randn(3, 4, 2, generator=g),
        "short": torch.randn(1, 3, generator=g),
    }
    cut = {"rows": Shard(0), "columns": Shard(1), "copy": Replicate(), "three": Shard(1), "short": Shard(0)}
    return whole, {name: distribute_tensor(t, mesh, [cut[name]]) for name, t in whole.items()}


def case_dtensor(directory, rank):
    """DTensors cut by rows, by columns, in the middle, unevenly, and not at all."""
    whole, state = mesh_state(rank)
    dcp.save({"state": state, "rank0": 1}, checkpoint_id=directory)
    if rank == 0:
        write_expected(directory, {f"state.{k}": v for k, v in whole.items()}, ["rank0"])


def case_per_rank_metadata(directory, rank):
    """Every rank writes metadata of its own."""
    whole, state = mesh_state(rank)
    dcp.save({"state": state}, checkpoint_id=directory, use_collectives=False)
    if rank == 0:
        write_expected(directory, {f"state.{k}": v for k, v in whole.items()})


def case_huggingface_shards(directory, rank):
    """Safetensors with the place of each tensor in its file's metadata."""
    whole, state = mesh_state(rank)
    dcp.save(state, storage_writer=dcp.HuggingFaceStorageWriter(str(directory), save_distributed=True))
    if rank == 0:
        write_expected(directory, whole)


def case_fsdp2(directory, rank):
    """A Llama of transformers under FSDP2, model and optimizer, as training loops save them."""
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_optimizer_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from transformers import AutoModelForCausalLM, LlamaConfig

    torch.manual_seed(4)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=20, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=33, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=64,
        tie_word_embeddings=False, torch_dtype="bfloat16",
    )
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    whole = {k: v.clone() for k, v in model.state_dict().items()}
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    sum(p.float().square().sum() for p in model.parameters()).backward()
    optimizer.step()
    state = {"model": get_model_state_dict(model), "optimizer": get_optimizer_state_dict(model, optimizer)}
    dcp.save(state, checkpoint_id=directory)
    if rank == 0:
        config.save_pretrained(directory / "hf")
        write_expected(directory, {f"model.{k}": v for k, v in whole.items()}, prefix="model.")


# ----------------------------------------------------------------- megatron-core


HIDDEN, HEADS, GROUPS, FFN, EXPERT_FFN, VOCAB = 16, 4, 2, 20, 12, 37


def megatron_model(tp=1, pp=1, ep=1, experts=None, layers=2, qwen2=False):
    from megatron.core import parallel_state
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.transformer.transformer_config import TransformerConfig

    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=tp, pipeline_model_parallel_size=pp, expert_model_parallel_size=ep
    )
    moe = dict(num_moe_experts=experts, moe_router_topk=2, moe_ffn_hidden_size=EXPERT_FFN) if experts else {}
    config = TransformerConfig(
        num_layers=layers, hidden_size=HIDDEN, ffn_hidden_size=FFN, num_attention_heads=HEADS, num_query_groups=GROUPS,
        kv_channels=head_dim(qwen2),
        gated_linear_unit=True, activation_func=torch.nn.functional.silu, add_bias_linear=False,
        add_qkv_bias=qwen2, normalization="RMSNorm", qk_layernorm=not qwen2, use_cpu_initialization=True,
        perform_initialization=True, params_dtype=torch.bfloat16, bf16=True, pipeline_dtype=torch.bfloat16,
        tensor_model_parallel_size=tp, pipeline_model_parallel_size=pp, expert_model_parallel_size=ep,
        bias_dropout_fusion=False, gradient_accumulation_fusion=False, **moe,
    )
    spec = get_gpt_layer_local_spec(num_experts=experts, qk_layernorm=not qwen2, normalization="RMSNorm")
    torch.manual_seed(5)
    model = GPTModel(
        config=config, transformer_layer_spec=spec, vocab_size=40, max_sequence_length=32,
        pre_process=parallel_state.is_pipeline_first_stage(), post_process=parallel_state.is_pipeline_last_stage(),
        position_embedding_type="rope", share_embeddings_and_output_weights=False,
    ).to(torch.bfloat16)
    # Norms of ones would hide a norm in the wrong place; every rank draws the same for what it holds a copy of.
    for name, parameter in sorted(model.named_parameters()):
        if "norm" in name or name.endswith("bias"):
            seed = 7 + sum(name.encode()) + 1000 * parallel_state.get_pipeline_model_parallel_rank()
            if name.endswith("linear_qkv.bias"):
                seed += 77 * parallel_state.get_tensor_model_parallel_rank()
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            parameter.data.copy_(1 + noise / 4)
    return model


LATENT = dict(q_lora_rank=12, kv_lora_rank=8, qk_head_dim=4, qk_pos_emb_head_dim=2, v_head_dim=4)


def latent_model(pp):
    """As DeepSeek-V3: latent attention, a dense layer, then one with routed and shared experts and a steering bias."""
    from megatron.core import parallel_state
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.transformer import multi_latent_attention
    from megatron.core.transformer.dot_product_attention import DotProductAttention
    from megatron.core.transformer.transformer_config import MLATransformerConfig

    for name in ("TELinear", "TEColumnParallelLinear", "Linear"):
        if not isinstance(getattr(multi_latent_attention, name, None), type):
            setattr(multi_latent_attention, name, type(name, (), {}))
    # The attention of the local specification has no weights and does not know latent heads; it never runs here.
    build = DotProductAttention.__init__
    DotProductAttention.__init__ = lambda self, *a, k_channels=None, v_channels=None, **k: build(self, *a, **k)
    parallel_state.initialize_model_parallel(pipeline_model_parallel_size=pp)
    config = MLATransformerConfig(
        num_layers=2, hidden_size=HIDDEN, ffn_hidden_size=FFN, num_attention_heads=HEADS, **LATENT,
        rope_type="rope", gated_linear_unit=True, activation_func=torch.nn.functional.silu, add_bias_linear=False,
        normalization="RMSNorm", qk_layernorm=True, use_cpu_initialization=True, perform_initialization=True,
        params_dtype=torch.bfloat16, bf16=True, pipeline_dtype=torch.bfloat16, pipeline_model_parallel_size=pp,
        bias_dropout_fusion=False, gradient_accumulation_fusion=False, num_moe_experts=4, moe_router_topk=2,
        moe_ffn_hidden_size=EXPERT_FFN, moe_layer_freq=[0, 1], moe_shared_expert_intermediate_size=EXPERT_FFN,
        moe_router_score_function="sigmoid", moe_router_enable_expert_bias=True, moe_router_topk_scaling_factor=2.5,
        moe_router_load_balancing_type="none",
    )
    spec = get_gpt_decoder_block_spec(config, use_transformer_engine=False, normalization="RMSNorm")
    torch.manual_seed(6)
    model = GPTModel(
        config=config, transformer_layer_spec=spec, vocab_size=40, max_sequence_length=32,
        pre_process=parallel_state.is_pipeline_first_stage(), post_process=parallel_state.is_pipeline_last_stage(),
        position_embedding_type="rope", share_embeddings_and_output_weights=False,
    ).to(torch.bfloat16)
    stage = parallel_state.get_pipeline_model_parallel_rank()
    for name, parameter in sorted([*model.named_parameters(), *model.named_buffers()]):
        if "norm" in name or name.endswith("expert_bias"):
            generator = torch.Generator().manual_seed(7 + sum(name.encode()) + 1000 * stage)
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data.copy_(noise / 50 if name.endswith("expert_bias") else 1 + noise / 4)
    return model


def head_dim(qwen2):
    return HIDDEN // HEADS if qwen2 else 6


def gather(value):
    parts = [None] * dist.get_world_size()
    dist.all_gather_object(parts, value)
    return parts


def save_megatron(model, directory, layout):
    from megatron.core import dist_checkpointing

    state = {
        "args": argparse.Namespace(num_layers=2, hidden_size=16, padded_vocab_size=40, params_dtype=torch.bfloat16),
        "checkpoint_version": 3.0,
        "iteration": 10,
        "model": model.sharded_state_dict(metadata=layout),
    }
    dist_checkpointing.save(state, str(directory), content_metadata=layout)


#: How tensor parallel ranks cut each parameter; fc1 is cut in both of its halves.
ROWS = ("linear_qkv.weight", "linear_qkv.bias", "word_embeddings.weight", "output_layer.weight")
COLUMNS = ("linear_proj.weight", "linear_fc2.weight")


def join_tp(name, parts):
    if name.endswith(ROWS):
        return torch.cat(parts, 0)
    if name.endswith(COLUMNS):
        return torch.cat(parts, 1)
    if name.endswith("linear_fc1.weight"):
        halves = [p.chunk(2, 0) for p in parts]
        return torch.cat([h[0] for h in halves] + [h[1] for h in halves], 0)
    assert all(torch.equal(p, parts[0]) for p in parts), name
    return parts[0]


def local_state(model):
    return {k: v for k, v in model.state_dict().items() if isinstance(v, torch.Tensor) and "_extra_state" not in k}


def hugging_face(whole, qwen2):
    """The same numbers under the names of transformers, by the definition of each packed tensor."""
    d, r = head_dim(qwen2), HEADS // GROUPS
    out = {
        "model.embed_tokens.weight": whole["embedding.word_embeddings.weight"][:VOCAB],
        "model.norm.weight": whole["decoder.final_layernorm.weight"],
        "lm_head.weight": whole["output_layer.weight"][:VOCAB],
    }
    same = {
        "input_layernorm.weight": "input_layernorm.weight",
        "pre_mlp_layernorm.weight": "post_attention_layernorm.weight",
        "self_attention.linear_proj.weight": "self_attn.o_proj.weight",
        "self_attention.q_layernorm.weight": "self_attn.q_norm.weight",
        "self_attention.k_layernorm.weight": "self_attn.k_norm.weight",
        "mlp.router.weight": "mlp.gate.weight",
        "mlp.router.expert_bias": "mlp.gate.e_score_correction_bias",
    }
    if any("linear_q_down_proj" in name for name in whole):
        same |= {
            "self_attention.linear_q_down_proj.weight": "self_attn.q_a_proj.weight",
            "self_attention.q_layernorm.weight": "self_attn.q_a_layernorm.weight",
            "self_attention.linear_q_up_proj.weight": "self_attn.q_b_proj.weight",
            "self_attention.linear_kv_down_proj.weight": "self_attn.kv_a_proj_with_mqa.weight",
            "self_attention.kv_layernorm.weight": "self_attn.kv_a_layernorm.weight",
            "self_attention.linear_kv_up_proj.weight": "self_attn.kv_b_proj.weight",
        }
    for name, tensor in whole.items():
        if not name.startswith("decoder.layers."):
            continue
        layer, rest = name.removeprefix("decoder.layers.").split(".", 1)
        head = f"model.layers.{layer}."
        if rest in same:
            out[head + same[rest]] = tensor
        elif "linear_qkv" in rest:
            groups = tensor.reshape(GROUPS, r + 2, d, -1)
            part = rest.rsplit(".", 1)[1]
            parts = {"q": groups[:, :r], "k": groups[:, r], "v": groups[:, r + 1]}
            for letter, rows in parts.items():
                flat = rows.reshape(-1, tensor.shape[1]) if part == "weight" else rows.reshape(-1)
                out[f"{head}self_attn.{letter}_proj.{part}"] = flat
        else:
            mlp = rest.replace("experts.local_experts.", "experts.").replace(".weight", "")
            if mlp.endswith("linear_fc1"):
                out[head + mlp.replace("linear_fc1", "gate_proj.weight")] = tensor.chunk(2, 0)[0]
                out[head + mlp.replace("linear_fc1", "up_proj.weight")] = tensor.chunk(2, 0)[1]
            else:
                out[head + mlp.replace("linear_fc2", "down_proj.weight")] = tensor
    return out


def hugging_face_model(qwen2, experts, tensors):
    """The configuration; transformers itself says whether names and shapes are those of the model."""
    from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config, Qwen3MoeConfig

    shared = dict(
        vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=GROUPS, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        tie_word_embeddings=False, dtype="bfloat16",
    )
    if qwen2:
        config = Qwen2Config(**shared)
    elif experts:
        config = Qwen3MoeConfig(
            **shared, head_dim=head_dim(qwen2), num_experts=experts, num_experts_per_tok=2,
            moe_intermediate_size=EXPERT_FFN, decoder_sparse_step=1,
        )
    else:
        config = Qwen3Config(**shared, head_dim=head_dim(qwen2))
    if not experts:
        model = AutoModelForCausalLM.from_config(config)
        shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
        assert shapes == {name: tuple(t.shape) for name, t in tensors.items()}
    return config


def latent_config():
    from transformers import DeepseekV3Config

    return DeepseekV3Config(
        vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        tie_word_embeddings=False, dtype="bfloat16", q_lora_rank=12, kv_lora_rank=8, qk_nope_head_dim=4,
        qk_rope_head_dim=2, v_head_dim=4, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
        moe_intermediate_size=EXPERT_FFN, first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=True,
        routed_scaling_factor=2.5,
    )


def expected_megatron(directory, tensors, qwen2=False, experts=None, config=None):
    hf = hugging_face(tensors, qwen2)
    config = config or hugging_face_model(qwen2, experts, hf)
    config.save_pretrained(directory / "hf")
    write_expected(directory, dict(sorted(tensors.items())), hf={name: facts(t) for name, t in hf.items()})


def case_megatron_stacked_tp2(directory, rank):
    """Two tensor parallel ranks, layers stacked along a leading axis."""
    model = megatron_model(tp=2, qwen2=True)
    save_megatron(model, directory, None)
    parts = gather(local_state(model))
    if rank == 0:
        expected_megatron(directory, {k: join_tp(k, [p[k] for p in parts]) for k in parts[0]}, qwen2=True)


def case_megatron_stacked_pp2(directory, rank):
    """Two pipeline stages, layers stacked along a leading axis."""
    model = megatron_model(pp=2)
    save_megatron(model, directory, {"non_homogeneous_layers": False})
    parts = gather(local_state(model))
    if rank == 0:
        expected_megatron(directory, global_layers(parts))


def case_megatron_layers_pp2(directory, rank):
    """Two pipeline stages, a key for each layer, gate and up apart."""
    model = megatron_model(pp=2)
    save_megatron(model, directory, {"singleton_local_shards": True})
    parts = gather(local_state(model))
    if rank == 0:
        expected_megatron(directory, global_layers(parts))


def global_layers(stages):
    whole = {}
    for stage, part in enumerate(stages):
        for name, tensor in part.items():
            whole[name.replace("layers.0.", f"layers.{stage}.")] = tensor
    return whole


def global_experts(ranks):
    whole = {}
    for rank, part in enumerate(ranks):
        for name, tensor in part.items():
            local = len({n.split("local_experts.")[1].split(".")[0] for n in part if "local_experts." in n})
            if "local_experts." in name:
                head, tail = name.split("local_experts.")
                index, rest = tail.split(".", 1)
                name = f"{head}local_experts.{int(index) + rank * local}.{rest}"
            whole.setdefault(name, tensor)
    return whole


def case_megatron_experts_ep2(directory, rank):
    """Four experts on two ranks, layers and experts stacked."""
    model = megatron_model(ep=2, experts=4)
    save_megatron(model, directory, None)
    parts = gather(local_state(model))
    if rank == 0:
        expected_megatron(directory, global_experts(parts), experts=4)


def case_megatron_experts_layers_ep2(directory, rank):
    """Four experts on two ranks, a key for each layer and expert."""
    model = megatron_model(ep=2, experts=4)
    save_megatron(model, directory, {"singleton_local_shards": True})
    parts = gather(local_state(model))
    if rank == 0:
        expected_megatron(directory, global_experts(parts), experts=4)


def case_megatron_latent_pp2(directory, rank):
    """Latent attention; layers that differ, each with a key of its own, experts stacked."""
    model = latent_model(pp=2)
    save_megatron(model, directory, None)
    parts = gather(local_state(model))
    if rank == 0:
        expected_megatron(directory, global_layers(parts), config=latent_config())


# ------------------------------------------------------------------------ driver

SINGLE = {"plain": case_plain, "file-per-item": case_file_per_item, "safetensors-distcp": case_safetensors_distcp}
DOUBLE = {
    "dtensor": case_dtensor,
    "per-rank-metadata": case_per_rank_metadata,
    "huggingface-shards": case_huggingface_shards,
    "fsdp2": case_fsdp2,
    "megatron-stacked-tp2": case_megatron_stacked_tp2,
    "megatron-stacked-pp2": case_megatron_stacked_pp2,
    "megatron-layers-pp2": case_megatron_layers_pp2,
    "megatron-experts-ep2": case_megatron_experts_ep2,
    "megatron-experts-layers-ep2": case_megatron_experts_layers_ep2,
    "megatron-latent-pp2": case_megatron_latent_pp2,
}


def without_gpu():
    torch.cuda.current_device = lambda: "cpu"
    torch.cuda.synchronize = lambda *a, **k: None


def settle():
    """Relative paths and a fixed id, because both end up in the files."""
    os.chdir(OUT)
    filesystem._generate_uuid = lambda: "00000000-0000-0000-0000-000000000000"


def worker(rank, name, directory, port):
    warnings.filterwarnings("ignore")
    settle()
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.set_num_threads(1)
    if name.startswith("megatron"):
        without_gpu()
    DOUBLE[name](directory, rank)
    dist.barrier()
    dist.destroy_process_group()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    wanted = sys.argv[1:] or [*SINGLE, *DOUBLE]
    OUT.mkdir(parents=True, exist_ok=True)
    settle()
    for name in wanted:
        directory = fresh(pathlib.Path(name))
        if name in SINGLE:
            SINGLE[name](directory)
        else:
            mp.spawn(worker, args=(name, directory, free_port()), nprocs=2)
        size = sum(f.stat().st_size for f in directory.rglob("*") if f.is_file())
        print(f"{name}: {size} bytes")


if __name__ == "__main__":
    main()
