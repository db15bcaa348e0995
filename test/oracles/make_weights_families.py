"""Writes packages/weights/test/fixtures/families/<name>.json: tiny configurations and what their files hold.

    python test/oracles/make_weights_families.py

For families of transformers the lists come from random models: `published` is what `save_pretrained` writes,
`fused` the state dict (experts of a layer in one tensor). Families whose code is not in transformers are written
down here from their published modelling files. `gguf` maps names of `published` to llama.cpp's, as its `gguf`
package does, where that package knows them. `families-defaults.json` beside the folder: shapes (first and last
layer) that configurations without most keys lead to.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import gguf
import torch
import transformers
from safetensors import safe_open
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/weights/test/fixtures/families"

LAYERS, HIDDEN, FFN, VOCAB = 4, 64, 80, 103
BASE = {
    "hidden_size": HIDDEN,
    "intermediate_size": FFN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "vocab_size": VOCAB,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
MOE = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
WIDE_HEAD = {"head_dim": 6}
LATENT = {
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "kv_lora_rank": 20,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 6,
    "v_head_dim": 5,
    "n_group": 2,
    "topk_group": 1,
    "n_routed_experts": 8,
    **MOE,
}

# name: (model_type, changes to BASE, gguf architecture)
NATIVE = {
    "llama": ("llama", {}, "LLAMA"),
    "llama-bias": ("llama", {"attention_bias": True, "mlp_bias": True, **WIDE_HEAD}, "LLAMA"),
    "llama-tied": ("llama", {"tie_word_embeddings": True}, "LLAMA"),
    "mistral": ("mistral", WIDE_HEAD, "LLAMA"),
    "mixtral": ("mixtral", {"num_local_experts": 8, "num_experts_per_tok": 2}, "LLAMA"),
    "qwen2": ("qwen2", {}, "QWEN2"),
    "qwen2-tied": ("qwen2", {"tie_word_embeddings": True}, "QWEN2"),
    "qwen3": ("qwen3", WIDE_HEAD, "QWEN3"),
    "qwen2-moe": (
        "qwen2_moe",
        {"num_experts": 8, "shared_expert_intermediate_size": 40, "mlp_only_layers": [2], **MOE},
        "QWEN2MOE",
    ),
    "qwen3-moe": (
        "qwen3_moe",
        {"num_experts": 8, "decoder_sparse_step": 1, **WIDE_HEAD, **MOE},
        "QWEN3MOE",
    ),
    "qwen3-moe-sparse": (
        "qwen3_moe",
        {"num_experts": 8, "decoder_sparse_step": 2, "attention_bias": True, **MOE},
        "QWEN3MOE",
    ),
    "glm": ("glm", {"attention_bias": True, **WIDE_HEAD}, "CHATGLM"),
    "glm4": ("glm4", {"attention_bias": False, **WIDE_HEAD}, "GLM4"),
    "glm4-moe": (
        "glm4_moe",
        {
            "n_routed_experts": 8,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "use_qk_norm": True,
            "attention_bias": True,
            **WIDE_HEAD,
            **MOE,
        },
        "GLM4_MOE",
    ),
    "phi3": ("phi3", {"pad_token_id": 0}, "PHI3"),
    "phi3-tied": ("phi3", {"pad_token_id": 0, "tie_word_embeddings": True}, "PHI3"),
    "gemma": ("gemma", WIDE_HEAD, "GEMMA"),
    "gemma2": ("gemma2", WIDE_HEAD, "GEMMA2"),
    "gemma3": ("gemma3_text", WIDE_HEAD, "GEMMA3"),
    "deepseek2": (
        "deepseek_v2",
        {**LATENT, "q_lora_rank": 24, "first_k_dense_replace": 1, "n_shared_experts": 2},
        "DEEPSEEK2",
    ),
    "deepseek2-lite": (
        "deepseek_v2",
        {**LATENT, "q_lora_rank": None, "first_k_dense_replace": 1, "attention_bias": True},
        "DEEPSEEK2",
    ),
    "deepseek3": (
        "deepseek_v3",
        {
            **LATENT,
            "q_lora_rank": 24,
            "first_k_dense_replace": 2,
            "n_shared_experts": 1,
            "num_nextn_predict_layers": 0,
        },
        "DEEPSEEK2",
    ),
}
UNTRACKED = {"transformers_version", "_name_or_path", "dtype", "torch_dtype"}


def native(model_type, changes):
    config = CONFIG_MAPPING[model_type](**{**BASE, **changes})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    tied = set(getattr(model, "_tied_weights_keys", None) or []) if config.tie_word_embeddings else set()
    fused = [[k, list(v.shape)] for k, v in model.state_dict().items() if k not in tied]
    with tempfile.TemporaryDirectory() as directory:
        model.save_pretrained(directory)
        raw = json.loads((Path(directory) / "config.json").read_text())
        with safe_open(Path(directory) / "model.safetensors", "pt") as file:
            published = [[k, file.get_slice(k).get_shape()] for k in file.keys()]
    assert sum(product(s) for _, s in fused) == sum(product(s) for _, s in published)
    raw = {k: v for k, v in raw.items() if k not in UNTRACKED}
    result = {"config": raw, "published": sorted(published)}
    if sorted(fused) != sorted(published):
        result["fused"] = sorted(fused)
    return result


def product(shape):
    total = 1
    for size in shape:
        total *= size
    return total


def linear(name, rows, cols, bias=False):
    return [[f"{name}.weight", [rows, cols]]] + ([[f"{name}.bias", [rows]]] if bias else [])


def norm(name):
    return [[f"{name}.weight", [HIDDEN]]]


def qwen():
    """Qwen/Qwen-7B modeling_qwen.py: QWenBlock, QWenAttention, QWenMLP."""
    config = {
        "architectures": ["QWenLMHeadModel"],
        "model_type": "qwen",
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 8,
        "kv_channels": 8,
        "vocab_size": VOCAB,
        "no_bias": True,
        "layer_norm_epsilon": 1e-6,
        "rotary_emb_base": 10000,
        "seq_length": 256,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
    }
    tensors = linear("transformer.wte", VOCAB, HIDDEN)
    for i in range(LAYERS):
        block = f"transformer.h.{i}"
        tensors += norm(f"{block}.ln_1") + norm(f"{block}.ln_2")
        tensors += linear(f"{block}.attn.c_attn", 3 * HIDDEN, HIDDEN, bias=True)
        tensors += linear(f"{block}.attn.c_proj", HIDDEN, HIDDEN)
        tensors += linear(f"{block}.mlp.w1", FFN, HIDDEN) + linear(f"{block}.mlp.w2", FFN, HIDDEN)
        tensors += linear(f"{block}.mlp.c_proj", HIDDEN, FFN)
    tensors += norm("transformer.ln_f") + linear("lm_head", VOCAB, HIDDEN)
    return {"config": config, "published": sorted(tensors)}


def baichuan():
    """baichuan-inc/Baichuan2-7B-Base modeling_baichuan.py: DecoderLayer, Attention, MLP, NormHead."""
    config = {
        "architectures": ["BaichuanForCausalLM"],
        "model_type": "baichuan",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 8,
        "vocab_size": VOCAB,
        "max_position_embeddings": 256,
        "model_max_length": 256,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }
    tensors = linear("model.embed_tokens", VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        tensors += linear(f"{layer}.self_attn.W_pack", 3 * HIDDEN, HIDDEN)
        tensors += linear(f"{layer}.self_attn.o_proj", HIDDEN, HIDDEN)
        tensors += linear(f"{layer}.mlp.gate_proj", FFN, HIDDEN) + linear(f"{layer}.mlp.up_proj", FFN, HIDDEN)
        tensors += linear(f"{layer}.mlp.down_proj", HIDDEN, FFN)
        tensors += norm(f"{layer}.input_layernorm") + norm(f"{layer}.post_attention_layernorm")
    tensors += norm("model.norm") + linear("lm_head", VOCAB, HIDDEN)
    return {"config": config, "published": sorted(tensors)}


def chatglm(heads=16, groups=8, channels=6):
    """THUDM/chatglm3-6b and THUDM/glm-4-9b modeling_chatglm.py: GLMBlock, SelfAttention, MLP."""
    config = {
        "architectures": ["ChatGLMModel"],
        "model_type": "chatglm",
        "hidden_size": HIDDEN,
        "ffn_hidden_size": FFN,
        "num_layers": LAYERS,
        "num_attention_heads": heads,
        "kv_channels": channels,
        "multi_query_attention": True,
        "multi_query_group_num": groups,
        "padded_vocab_size": VOCAB,
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "rmsnorm": True,
        "post_layer_norm": True,
        "layernorm_epsilon": 1e-5,
        "seq_length": 256,
        "rope_ratio": 1,
        "tie_word_embeddings": False,
    }
    rows = (heads + 2 * groups) * channels
    tensors = linear("transformer.embedding.word_embeddings", VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"transformer.encoder.layers.{i}"
        tensors += norm(f"{layer}.input_layernorm") + norm(f"{layer}.post_attention_layernorm")
        tensors += linear(f"{layer}.self_attention.query_key_value", rows, HIDDEN, bias=True)
        tensors += linear(f"{layer}.self_attention.dense", HIDDEN, heads * channels)
        tensors += linear(f"{layer}.mlp.dense_h_to_4h", 2 * FFN, HIDDEN)
        tensors += linear(f"{layer}.mlp.dense_4h_to_h", HIDDEN, FFN)
    tensors += norm("transformer.encoder.final_layernorm") + linear("transformer.output_layer", VOCAB, HIDDEN)
    return {"config": config, "published": sorted(tensors)}


def internlm2():
    """internlm/internlm2-7b modeling_internlm2.py: InternLM2DecoderLayer, InternLM2Attention, InternLM2MLP."""
    config = {
        "architectures": ["InternLM2ForCausalLM"],
        "model_type": "internlm2",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "vocab_size": VOCAB,
        "bias": False,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1000000,
        "tie_word_embeddings": False,
    }
    tensors = linear("model.tok_embeddings", VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        tensors += linear(f"{layer}.attention.wqkv", (16 + 2 * 8) * 4, HIDDEN)
        tensors += linear(f"{layer}.attention.wo", HIDDEN, HIDDEN)
        tensors += linear(f"{layer}.feed_forward.w1", FFN, HIDDEN) + linear(f"{layer}.feed_forward.w3", FFN, HIDDEN)
        tensors += linear(f"{layer}.feed_forward.w2", HIDDEN, FFN)
        tensors += norm(f"{layer}.attention_norm") + norm(f"{layer}.ffn_norm")
    tensors += norm("model.norm") + linear("output", VOCAB, HIDDEN)
    return {"config": config, "published": sorted(tensors)}


def yi():
    """01-ai/Yi-34B modeling_yi.py of its first release: YiDecoderLayer, YiAttention, YiMLP."""
    config = {
        "architectures": ["YiForCausalLM"],
        "model_type": "Yi",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "vocab_size": VOCAB,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5000000.0,
        "tie_word_embeddings": False,
    }
    tensors = linear("model.embed_tokens", VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        tensors += norm(f"{layer}.ln1") + norm(f"{layer}.ln2")
        tensors += linear(f"{layer}.self_attn.q_proj", HIDDEN, HIDDEN) + linear(f"{layer}.self_attn.o_proj", HIDDEN, HIDDEN)
        tensors += linear(f"{layer}.self_attn.k_proj", HIDDEN // 2, HIDDEN)
        tensors += linear(f"{layer}.self_attn.v_proj", HIDDEN // 2, HIDDEN)
        tensors += linear(f"{layer}.mlp.gate_proj", FFN, HIDDEN) + linear(f"{layer}.mlp.up_proj", FFN, HIDDEN)
        tensors += linear(f"{layer}.mlp.down_proj", HIDDEN, FFN)
    tensors += norm("model.norm") + linear("lm_head", VOCAB, HIDDEN)
    return {"config": config, "published": sorted(tensors)}


DOCUMENTED = {
    "qwen": (qwen, "QWEN"),
    "baichuan": (baichuan, "BAICHUAN"),
    "chatglm": (chatglm, "CHATGLM"),
    "internlm2": (internlm2, "INTERNLM2"),
    "yi": (yi, "LLAMA"),
}


def write_defaults():
    """What the classes of configurations assume for absent keys, as shapes of a model on no device."""
    stated = {"hidden_size": 512, "intermediate_size": 96, "num_hidden_layers": 5, "num_attention_heads": 64, "vocab_size": 101}
    result = {}
    for model_type in sorted({model_type for model_type, _, _ in NATIVE.values()}):
        extra = {"num_experts_per_tok": 6} if model_type == "deepseek_v2" else {}
        config = CONFIG_MAPPING[model_type](**stated, **extra, pad_token_id=0, bos_token_id=1, eos_token_id=2)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        head = {"lm_head.weight"} if config.tie_word_embeddings else set()
        # The last layer shows everything that has a default; the first may differ from it.
        shown = [[k, list(v.shape)] for k, v in model.state_dict().items() if k not in head and not re.search(r"\.[123]\.", k)]
        raw = {"model_type": model_type, **stated, **extra}
        result[model_type] = {"config": raw, "fused": sorted(shown)}
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in result.items())
    (OUT.parent / "families-defaults.json").write_text("{\n" + lines + "\n}\n")


def gguf_names(architecture, published):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture], LAYERS)
    return {name: mapped for name, _ in published if (mapped := names.get_name(name, (".weight", ".bias")))}


def write(name, fixture, architecture):
    fixture["gguf"] = gguf_names(architecture, fixture["published"])
    lines = ",\n".join(f" {json.dumps(k)}: {compact(v)}" for k, v in fixture.items())
    (OUT / f"{name}.json").write_text("{\n" + lines + "\n}\n")


def compact(value):
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
    return "{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(value.items())) + "\n }"


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = set(sys.argv[1:])
    for name, (model_type, changes, architecture) in NATIVE.items():
        if not wanted or name in wanted:
            write(name, native(model_type, changes), architecture)
    for name, (make, architecture) in DOCUMENTED.items():
        if not wanted or name in wanted:
            write(name, make(), architecture)
    if not wanted:
        write_defaults()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
