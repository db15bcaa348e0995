"""Unpacks weights of families with packed tensors into the names of Llama, in the plain way of their own code."""

import re

import torch


def layer_name(name):
    return re.match(r"(?:model|transformer|transformer\.encoder)\.(?:layers|h)\.(\d+)\.", name)


def split_rows(weight, sizes):
    return torch.split(weight, list(sizes), dim=0)


def internlm2_qkv(weight, config):
    """As `rearrange(qkv, 'b q (h gs d) -> b q h gs d', gs=2 + groups of queries)` cuts the outputs."""
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    width = config["hidden_size"] // heads
    rows = weight.reshape(groups, heads // groups + 2, width, *weight.shape[1:])
    return (
        rows[:, :-2].reshape(heads * width, *weight.shape[1:]),
        rows[:, -2].reshape(groups * width, *weight.shape[1:]),
        rows[:, -1].reshape(groups * width, *weight.shape[1:]),
    )


def qkv_parts(family, config, weight):
    if family == "internlm2":
        return internlm2_qkv(weight, config)
    heads = config["num_attention_heads"]
    width = config.get("kv_channels") or config.get("head_dim") or config["hidden_size"] // heads
    groups = config.get("multi_query_group_num") or config.get("num_key_value_heads") or heads
    return split_rows(weight, (heads * width, groups * width, groups * width))


OUTSIDE = {
    "transformer.wte.weight": "model.embed_tokens.weight",
    "transformer.ln_f.weight": "model.norm.weight",
    "transformer.embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "transformer.encoder.final_layernorm.weight": "model.norm.weight",
    "transformer.output_layer.weight": "lm_head.weight",
    "model.tok_embeddings.weight": "model.embed_tokens.weight",
    "output.weight": "lm_head.weight",
}
QKV = ("c_attn", "W_pack", "query_key_value", "wqkv", "qkv_proj")
GATE_UP = ("dense_h_to_4h", "gate_up_proj")
INSIDE = {
    "attn.c_proj": "self_attn.o_proj",
    "self_attention.dense": "self_attn.o_proj",
    "attention.wo": "self_attn.o_proj",
    "mlp.dense_4h_to_h": "mlp.down_proj",
    "mlp.c_proj": "mlp.down_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "mlp.w1": "mlp.up_proj",
    "mlp.w2": "mlp.gate_proj",
    "ln_1": "input_layernorm",
    "ln_2": "post_attention_layernorm",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def unpack(family, config, stored):
    """{stored name: tensor} → {name of Llama: tensor}."""
    result = {}
    for name, weight in stored.items():
        match = layer_name(name)
        if match is None:
            result[OUTSIDE.get(name, name)] = weight
            continue
        prefix = f"model.layers.{match[1]}."
        module, part = name[match.end() :].rsplit(".", 1)
        leaf = module.rsplit(".", 1)[-1]
        if leaf in QKV:
            for letter, rows in zip("qkv", qkv_parts(family, config, weight), strict=True):
                result[f"{prefix}self_attn.{letter}_proj.{part}"] = rows.contiguous()
        elif leaf in GATE_UP:
            for half, rows in zip(("gate", "up"), weight.chunk(2, dim=0), strict=True):
                result[f"{prefix}mlp.{half}_proj.{part}"] = rows.contiguous()
        else:
            result[f"{prefix}{INSIDE.get(module, module)}.{part}"] = weight
    return result
