"""Greedy continuations of tiny models of every family that GGUF export knows.

Weights are not stored: every element is a hash of the tensor's name and its index, which the test computes
too (`fill_tensor`), and every value is exact in bf16. A family's record holds the configuration as
transformers saves it, the tensors of the checkpoint with their shapes, prompts as ids, and for each prompt the
ids that transformers chooses greedily, the margin of each choice and the first logits of the first step.

Baichuan 2, ChatGLM 3, InternLM 2 and Qwen 1, whose code transformers does not have, are computed by models of the
same form (Llama, GLM, Llama, Qwen 2) from tensors that are split here.

Run: HF_HUB_OFFLINE=1 python test/oracles/make_gguf_family_goldens.py [family …]
Writes: packages/engine/test/fixtures/gguf-families/<family>.json
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/engine/test/fixtures/gguf-families"
TOKENIZER = ROOT / "assets/models/stories260k-hf/tokenizer.json"
PROMPTS = [
    "Once upon a time",
    "The little dog",
    "She said hello to her mom and",
    "In the park there was a big red ball",
    "Tom",
    "One day, Lily went to the river. She saw a fish and",
    "It was very cold",
    "The sun is bright. The sky is blue. The bird can",
    "Yes!",
    "They played all day and then",
]
NEW_TOKENS = 12
LOGITS = 8

SMALL = dict(
    vocab_size=512,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
GEMMA = dict(
    SMALL,
    head_dim=16,
    tie_word_embeddings=True,
    hidden_activation="gelu_pytorch_tanh",
    rms_norm_eps=1e-6,
)
MOE = dict(moe_intermediate_size=32, num_experts_per_tok=2)
MLA = dict(
    SMALL,
    num_key_value_heads=4,
    q_lora_rank=24,
    kv_lora_rank=16,
    qk_nope_head_dim=8,
    qk_rope_head_dim=4,
    v_head_dim=6,
    head_dim=4,
    moe_intermediate_size=32,
    num_experts_per_tok=2,
    n_routed_experts=4,
    n_shared_experts=2,
    first_k_dense_replace=1,
    moe_layer_freq=1,
    rope_interleave=True,
    attention_bias=False,
)
LONGROPE = dict(
    rope_type="longrope",
    rope_theta=10000.0,
    short_factor=[1.0, 1.25, 1.5, 2.0],
    long_factor=[1.0, 2.5, 8.0, 32.0],
    original_max_position_embeddings=512,  # llama.cpp takes the long ones when its context, at least 256, is longer
    factor=2.0,
)


def rope(theta=10000.0, rope_type="default", **more):
    return {"rope_type": rope_type, "rope_theta": theta, **more}


LLAMA3 = rope(
    500000.0,
    "llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=8192,
)
YARN = rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
GEMMA3_ROPE = {
    "full_attention": rope(1000000.0, "linear", factor=8.0),
    "sliding_attention": rope(10000.0),
}

# name → (model_type, settings); families with an own form have a function below.
STANDARD = {
    "llama": ("llama", dict(SMALL, rope_parameters=rope())),
    "llama3": ("llama", dict(SMALL, tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "llama-linear": ("llama", dict(SMALL, rope_parameters=rope(rope_type="linear", factor=4.0))),
    "yi": ("llama", dict(SMALL, num_key_value_heads=1, rope_parameters=rope(5000000.0))),
    "mistral": ("mistral", dict(SMALL, sliding_window=None, rope_parameters=rope())),
    "qwen2": ("qwen2", dict(SMALL, rope_parameters=rope(1000000.0))),
    "qwen2-yarn": ("qwen2", dict(SMALL, tie_word_embeddings=True, rope_parameters=YARN)),
    "qwen3": ("qwen3", dict(SMALL, head_dim=16, rope_parameters=rope(1000000.0))),
    "mixtral": (
        "mixtral",
        dict(SMALL, num_local_experts=4, num_experts_per_tok=2, rope_parameters=rope(1000000.0)),
    ),
    "qwen2-moe": (
        "qwen2_moe",
        dict(
            SMALL,
            **MOE,
            num_experts=4,
            shared_expert_intermediate_size=48,
            norm_topk_prob=False,
            rope_parameters=rope(1000000.0),
        ),
    ),
    "qwen3-moe": (
        "qwen3_moe",
        dict(
            SMALL,
            **MOE,
            head_dim=16,
            num_experts=4,
            norm_topk_prob=True,
            rope_parameters=rope(1000000.0),
        ),
    ),
    "glm": (
        "glm",
        dict(
            SMALL,
            head_dim=8,
            attention_bias=True,
            partial_rotary_factor=0.5,
            rope_parameters=rope(10000.0, partial_rotary_factor=0.5),
        ),
    ),
    "glm4": (
        "glm4",
        dict(
            SMALL,
            head_dim=8,
            attention_bias=True,
            partial_rotary_factor=0.5,
            rope_parameters=rope(10000.0, partial_rotary_factor=0.5),
        ),
    ),
    "glm4-moe": (
        "glm4_moe",
        dict(
            SMALL,
            **MOE,
            head_dim=8,
            attention_bias=True,
            partial_rotary_factor=0.5,
            use_qk_norm=True,
            n_routed_experts=4,
            n_shared_experts=1,
            first_k_dense_replace=1,
            n_group=1,
            topk_group=1,
            norm_topk_prob=True,
            routed_scaling_factor=1.5,
            num_nextn_predict_layers=0,
            rope_parameters=rope(10000.0, partial_rotary_factor=0.5),
        ),
    ),
    "gemma": ("gemma", dict(GEMMA, rope_parameters=rope())),
    "gemma2": (
        "gemma2",
        dict(
            GEMMA,
            query_pre_attn_scalar=16,
            sliding_window=8,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0,
            rope_parameters=rope(),
        ),
    ),
    "gemma3": (
        "gemma3_text",
        dict(
            GEMMA,
            num_hidden_layers=7,
            query_pre_attn_scalar=16,
            sliding_window=8,
            rope_parameters=GEMMA3_ROPE,
        ),
    ),
    "phi3": (
        "phi3",
        dict(
            SMALL,
            sliding_window=None,
            original_max_position_embeddings=256,
            rope_parameters=rope(),
        ),
    ),
    "phi3-longrope": (
        "phi3",
        dict(
            SMALL,
            max_position_embeddings=1024,
            sliding_window=200,
            original_max_position_embeddings=512,
            rope_parameters=LONGROPE,
        ),
    ),
    "phi4-mini": (
        "phi3",
        dict(
            SMALL,
            tie_word_embeddings=True,
            sliding_window=None,
            max_position_embeddings=1024,
            original_max_position_embeddings=512,
            partial_rotary_factor=0.75,
            rope_parameters=dict(
                LONGROPE,
                short_factor=[1.0, 1.25, 1.5],
                long_factor=[1.0, 2.5, 8.0],
                partial_rotary_factor=0.75,
            ),
        ),
    ),
    "deepseek-v2": (
        "deepseek_v2",
        dict(
            MLA,
            n_group=1,
            topk_group=1,
            topk_method="greedy",
            norm_topk_prob=False,
            routed_scaling_factor=1.0,
            rope_parameters=rope(),
        ),
    ),
    "deepseek-v2-lite": (
        "deepseek_v2",
        dict(
            MLA,
            q_lora_rank=None,
            num_hidden_layers=27,  # by which llama.cpp knows that queries are not compressed
            n_group=1,
            topk_group=1,
            topk_method="greedy",
            norm_topk_prob=False,
            routed_scaling_factor=1.0,
            rope_parameters=rope(),
        ),
    ),
    "deepseek-v3": (
        "deepseek_v3",
        dict(
            MLA,
            n_group=2,
            topk_group=1,
            norm_topk_prob=True,
            routed_scaling_factor=2.5,
            rope_parameters=rope(),
        ),
    ),
    "deepseek-v3-yarn": (
        "deepseek_v3",
        dict(
            MLA,
            n_group=1,
            topk_group=1,
            norm_topk_prob=True,
            routed_scaling_factor=2.5,
            rope_parameters=dict(YARN, mscale=1.0, mscale_all_dim=1.0),
        ),
    ),
    "deepseek-v2-yarn": (
        "deepseek_v2",
        dict(
            MLA,
            n_group=1,
            topk_group=1,
            topk_method="greedy",
            norm_topk_prob=False,
            routed_scaling_factor=1.0,
            rope_parameters=dict(YARN, mscale=0.707, mscale_all_dim=0.707),
        ),
    ),
}


def name_hash(name):
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    return h


def fill_tensor(name, shape, zero_centred_norms):
    """Eight random bits per element, exact in bf16: odd multiples of 1/1024; of 1/512 in embedding and head.

    Gemma multiplies embeddings, which are its head too: there they are small, lest it only repeats its input.
    """
    count = int(np.prod(shape))
    x = np.arange(count, dtype=np.uint64)
    x = (x * 2654435761 + name_hash(name)) & 0xFFFFFFFF
    x = ((x ^ (x >> np.uint64(16))) * 0x45D9F3B) & 0xFFFFFFFF
    x = ((x ^ (x >> np.uint64(16))) * 0x45D9F3B) & 0xFFFFFFFF
    bits = (x >> np.uint64(24)).astype(np.int64)
    if "norm" in name and name.endswith(".weight"):
        values = (bits >> 1) / 128 + (-0.5 if zero_centred_norms else 0.5)
    else:
        is_outside = "embed" in name or "head" in name or "output_layer" in name
        outside = 2048 if zero_centred_norms else 512
        values = (2 * bits - 255) / (outside if is_outside else 1024)
    return torch.tensor(values.astype(np.float32)).reshape(shape)


def checkpoint_shapes(config):
    """The tensors as transformers saves them: names and shapes of the files, not of the modules."""
    model = AutoModelForCausalLM.from_config(config)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        raw = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / "model.safetensors", "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    return raw, shapes


def loaded(raw, tensors):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(raw))
        save_file(tensors, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[key], (key, report[key])
    return model.eval()


def standard(name):
    model_type, settings = STANDARD[name]
    raw, shapes = checkpoint_shapes(AutoConfig.for_model(model_type, **settings))
    tensors = {n: fill_tensor(n, s, model_type.startswith("gemma")) for n, s in shapes.items()}
    return raw, shapes, loaded(raw, tensors)


def baichuan2():
    c = dict(SMALL, num_hidden_layers=32)
    del c["num_key_value_heads"]
    raw = {
        "architectures": ["BaichuanForCausalLM"],
        "model_type": "baichuan",
        "hidden_act": "silu",
        "model_max_length": 256,
        "z_loss_weight": 0,
        "torch_dtype": "float32",
        **c,
    }
    hidden, ffn, vocab = 32, 64, 512
    shapes = {"model.embed_tokens.weight": [vocab, hidden]}
    for i in range(32):
        p = f"model.layers.{i}."
        shapes |= {
            p + "self_attn.W_pack.weight": [3 * hidden, hidden],
            p + "self_attn.o_proj.weight": [hidden, hidden],
            p + "mlp.gate_proj.weight": [ffn, hidden],
            p + "mlp.up_proj.weight": [ffn, hidden],
            p + "mlp.down_proj.weight": [hidden, ffn],
            p + "input_layernorm.weight": [hidden],
            p + "post_attention_layernorm.weight": [hidden],
        }
    shapes |= {"model.norm.weight": [hidden], "lm_head.weight": [vocab, hidden]}
    tensors = {}
    for name, shape in shapes.items():
        value = fill_tensor(name, shape, False)
        if "W_pack" in name:
            for part, piece in zip("qkv", value.chunk(3)):
                tensors[name.replace("W_pack", f"{part}_proj")] = piece.contiguous()
        elif name == "lm_head.weight":
            tensors[name] = torch.nn.functional.normalize(value)  # NormHead of Baichuan 2
        else:
            tensors[name] = value
    twin, _ = checkpoint_shapes(AutoConfig.for_model("llama", **dict(c, num_key_value_heads=4)))
    return raw, shapes, loaded(twin, tensors)


def chatglm3():
    hidden, ffn, vocab, heads, groups, width = 32, 64, 512, 4, 2, 8
    raw = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "ffn_hidden_size": ffn,
        "hidden_size": hidden,
        "kv_channels": width,
        "layernorm_epsilon": 1e-5,
        "multi_query_attention": True,
        "multi_query_group_num": groups,
        "num_attention_heads": heads,
        "num_layers": 2,
        "original_rope": True,
        "padded_vocab_size": vocab,
        "post_layer_norm": True,
        "rmsnorm": True,
        "rope_ratio": 50,
        "seq_length": 256,
        "vocab_size": vocab,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    shapes = {"transformer.embedding.word_embeddings.weight": [vocab, hidden]}
    packed = (heads + 2 * groups) * width
    for i in range(2):
        p = f"transformer.encoder.layers.{i}."
        shapes |= {
            p + "input_layernorm.weight": [hidden],
            p + "self_attention.query_key_value.weight": [packed, hidden],
            p + "self_attention.query_key_value.bias": [packed],
            p + "self_attention.dense.weight": [hidden, hidden],
            p + "post_attention_layernorm.weight": [hidden],
            p + "mlp.dense_h_to_4h.weight": [2 * ffn, hidden],
            p + "mlp.dense_4h_to_h.weight": [hidden, ffn],
        }
    shapes |= {
        "transformer.encoder.final_layernorm.weight": [hidden],
        "transformer.output_layer.weight": [vocab, hidden],
    }
    names = [
        ("transformer.embedding.word_embeddings", "model.embed_tokens"),
        ("transformer.encoder.layers", "model.layers"),
        ("transformer.encoder.final_layernorm", "model.norm"),
        ("transformer.output_layer", "lm_head"),
        ("self_attention.dense", "self_attn.o_proj"),
        ("self_attention.", "self_attn."),
        ("dense_h_to_4h", "gate_up_proj"),
        ("dense_4h_to_h", "down_proj"),
    ]
    tensors = {}
    for name, shape in shapes.items():
        value = fill_tensor(name, shape, False)
        for old, new in names:
            name = name.replace(old, new)
        if "query_key_value" in name:
            rows = [heads * width, groups * width, groups * width]
            for part, piece in zip("qkv", value.split(rows)):
                tensors[name.replace("query_key_value", f"{part}_proj")] = piece.contiguous()
        else:
            tensors[name] = value
    settings = dict(
        STANDARD["glm"][1], rope_parameters=rope(10000.0 * 50, partial_rotary_factor=0.5)
    )
    twin, _ = checkpoint_shapes(AutoConfig.for_model("glm", **settings))
    return raw, shapes, loaded(twin, tensors)


def qwen1():
    hidden, ffn, vocab = 32, 64, 512
    raw = {
        "architectures": ["QWenLMHeadModel"],
        "model_type": "qwen",
        "hidden_size": hidden,
        "intermediate_size": 2 * ffn,
        "kv_channels": 8,
        "layer_norm_epsilon": 1e-5,
        "max_position_embeddings": 256,
        "no_bias": True,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "rotary_emb_base": 10000,
        "rotary_pct": 1.0,
        "seq_length": 256,
        "tie_word_embeddings": False,
        "use_logn_attn": False,
        "vocab_size": vocab,
        "torch_dtype": "float32",
    }
    shapes = {"transformer.wte.weight": [vocab, hidden]}
    for i in range(2):
        p = f"transformer.h.{i}."
        shapes |= {
            p + "ln_1.weight": [hidden],
            p + "attn.c_attn.weight": [3 * hidden, hidden],
            p + "attn.c_attn.bias": [3 * hidden],
            p + "attn.c_proj.weight": [hidden, hidden],
            p + "ln_2.weight": [hidden],
            p + "mlp.w1.weight": [ffn, hidden],
            p + "mlp.w2.weight": [ffn, hidden],
            p + "mlp.c_proj.weight": [hidden, ffn],
        }
    shapes |= {"transformer.ln_f.weight": [hidden], "lm_head.weight": [vocab, hidden]}
    names = [
        ("transformer.wte", "model.embed_tokens"),
        ("transformer.h.", "model.layers."),
        ("transformer.ln_f", "model.norm"),
        ("attn.c_proj", "self_attn.o_proj"),
        ("attn.c_attn", "self_attn.c_attn"),
        ("ln_1", "input_layernorm"),
        ("ln_2", "post_attention_layernorm"),
        ("mlp.w1", "mlp.up_proj"),
        ("mlp.w2", "mlp.gate_proj"),
        ("mlp.c_proj", "mlp.down_proj"),
    ]
    tensors = {}
    for name, shape in shapes.items():
        value = fill_tensor(name, shape, False)
        for old, new in names:
            name = name.replace(old, new)
        if "c_attn" in name:
            for part, piece in zip("qkv", value.chunk(3)):
                tensors[name.replace("c_attn", f"{part}_proj")] = piece.contiguous()
        else:
            tensors[name] = value
    settings = dict(SMALL, num_key_value_heads=4, rope_parameters=rope())
    twin, _ = checkpoint_shapes(AutoConfig.for_model("qwen2", **settings))
    return raw, shapes, loaded(twin, tensors)


def internlm2():
    hidden, ffn, vocab, heads, groups, width = 32, 64, 512, 4, 2, 8
    raw = {
        "architectures": ["InternLM2ForCausalLM"],
        "model_type": "internlm2",
        "bias": False,
        "hidden_act": "silu",
        "torch_dtype": "float32",
        "rope_theta": 1000000.0,
        **SMALL,
    }
    shapes = {"model.tok_embeddings.weight": [vocab, hidden]}
    for i in range(2):
        p = f"model.layers.{i}."
        shapes |= {
            p + "attention.wqkv.weight": [(heads + 2 * groups) * width, hidden],
            p + "attention.wo.weight": [hidden, hidden],
            p + "feed_forward.w1.weight": [ffn, hidden],
            p + "feed_forward.w3.weight": [ffn, hidden],
            p + "feed_forward.w2.weight": [hidden, ffn],
            p + "attention_norm.weight": [hidden],
            p + "ffn_norm.weight": [hidden],
        }
    shapes |= {"model.norm.weight": [hidden], "output.weight": [vocab, hidden]}
    names = [
        ("tok_embeddings", "embed_tokens"),
        ("attention.wo", "self_attn.o_proj"),
        ("attention.wqkv", "self_attn.wqkv"),
        ("feed_forward.w1", "mlp.gate_proj"),
        ("feed_forward.w3", "mlp.up_proj"),
        ("feed_forward.w2", "mlp.down_proj"),
        ("attention_norm", "input_layernorm"),
        ("ffn_norm", "post_attention_layernorm"),
    ]
    tensors = {}
    for name, shape in shapes.items():
        value = fill_tensor(name, shape, False)
        for old, new in names:
            name = name.replace(old, new)
        if "wqkv" in name:
            grouped = value.reshape(groups, heads // groups + 2, width, hidden)
            parts = {"q": grouped[:, :-2], "k": grouped[:, -2], "v": grouped[:, -1]}
            for part, piece in parts.items():
                new = name.replace("wqkv", f"{part}_proj")
                tensors[new] = piece.reshape(-1, hidden).contiguous()
        else:
            tensors["lm_head.weight" if name == "output.weight" else name] = value
    settings = dict(SMALL, rope_parameters=rope(1000000.0))
    twin, _ = checkpoint_shapes(AutoConfig.for_model("llama", **settings))
    return raw, shapes, loaded(twin, tensors)


def continue_greedily(model, ids):
    out, margins, first = [], [], None
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            logits = model(torch.tensor([ids + out]), use_cache=False).logits[0, -1].double()
            top = logits.topk(2).values
            first = first or [round(v, 5) for v in logits[:LOGITS].tolist()]
            out.append(int(logits.argmax()))
            margins.append(round(float(top[0] - top[1]), 5))
    return {"prompt_ids": ids, "new_ids": out, "margins": margins, "first_logits": first}


def main():
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    prompts = [[1] + [i for i in tokenizer.encode(p, add_special_tokens=False).ids] for p in PROMPTS]
    special = {
        "baichuan2": baichuan2,
        "chatglm3": chatglm3,
        "internlm2": internlm2,
        "qwen1": qwen1,
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for family in sys.argv[1:] or [*STANDARD, *special]:
        raw, shapes, model = special[family]() if family in special else standard(family)
        cases = [continue_greedily(model, ids) for ids in prompts]
        record = {
            "tool": f"transformers {transformers.__version__}, torch {torch.__version__}",
            "config": raw,
            "tensors": [[name, list(shape)] for name, shape in shapes.items()],
            "cases": cases,
        }
        (OUT / f"{family}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
        low = min(m for c in cases for m in c["margins"])
        distinct = len({t for c in cases for t in c["new_ids"]})
        print(f"{family}: smallest margin {low}, {distinct} different ids", flush=True)


main()
