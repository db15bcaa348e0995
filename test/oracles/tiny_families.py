"""The tiny model families: their configurations and their seeded random weights.

Nothing is left at a neutral value: norms are not ones and biases are not zeros, so a missing or
swapped one changes the numbers.
"""

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

VOCAB = 96
TOKENS = dict(vocab_size=VOCAB, bos_token_id=1, eos_token_id=2, pad_token_id=0)
SMALL = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    **TOKENS,
)


def rope(theta=10000.0, rope_type="default", **more):
    return {"rope_type": rope_type, "rope_theta": theta, **more}


LLAMA3_ROPE = rope(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
YARN_ROPE = rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)

CONFIGS = {
    "llama": LlamaConfig(
        **{
            **SMALL,
            "hidden_size": 64,
            "intermediate_size": 96,
            "rope_parameters": rope(),
        }
    ),
    "llama3": LlamaConfig(
        **{**SMALL, "head_dim": 16, "tie_word_embeddings": True, "rope_parameters": LLAMA3_ROPE}
    ),
    "llama-linear": LlamaConfig(
        **{**SMALL, "num_hidden_layers": 1, "num_key_value_heads": 4},
        rope_parameters=rope(rope_type="linear", factor=4.0),
    ),
    "llama-bias": LlamaConfig(
        **{**SMALL, "num_hidden_layers": 1},
        attention_bias=True,
        mlp_bias=True,
        rope_parameters=rope(),
    ),
    "mistral": MistralConfig(
        **SMALL, head_dim=16, sliding_window=None, rope_parameters=rope(1000000.0)
    ),
    "qwen2": Qwen2Config(
        **{**SMALL, "rms_norm_eps": 1e-6}, sliding_window=None, rope_parameters=rope(1000000.0)
    ),
    "qwen2-yarn": Qwen2Config(
        **{
            **SMALL,
            "rms_norm_eps": 1e-6,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
            "max_position_embeddings": 256,
        },
        sliding_window=None,
        rope_parameters=YARN_ROPE,
    ),
    "qwen3": Qwen3Config(
        **{**SMALL, "rms_norm_eps": 1e-6, "tie_word_embeddings": True},
        head_dim=16,
        sliding_window=None,
        rope_parameters=rope(1000000.0),
    ),
}

# These are rewritten to the config.json spelling of transformers 4 (`rope_theta` and `rope_scaling`
# at the top, `torch_dtype`), which most published models have; the rest keep that of version 5.
OLD_SPELLING = {"llama3", "mistral", "qwen2-yarn"}

# Each sequence: (length, learned half-open ranges of token positions).
SEQUENCES = [(24, [(8, 14), (18, 24)]), (17, [(5, 17)])]


def generator_for(name):
    """A seed that depends on the family's name alone, so that adding one changes no other."""
    return torch.Generator().manual_seed(sum((i + 1) * ord(c) for i, c in enumerate(name)))


def gaussian(shape, generator, std, mean=0.0):
    return mean + std * torch.randn(shape, generator=generator)


@torch.no_grad()
def randomize(model, generator):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            value = gaussian(parameter.shape, generator, 0.3)
        elif parameter.dim() == 1:
            value = gaussian(parameter.shape, generator, 0.2, mean=1.0)
        elif "embed_tokens" in name:
            value = gaussian(parameter.shape, generator, 0.4)
        else:
            value = gaussian(parameter.shape, generator, 1.4 / parameter.shape[1] ** 0.5)
        parameter.copy_(value)


def build(name):
    model = AutoModelForCausalLM.from_config(CONFIGS[name], attn_implementation="eager").float()
    randomize(model, generator_for(name))
    return model.eval()


def sequences_for(name):
    """Token ids 3..V-1 after a leading 1, and a 0/1 learned flag for each position."""
    generator = generator_for(name + "/ids")
    result = []
    for length, ranges in SEQUENCES:
        ids = [1] + torch.randint(3, VOCAB, (length - 1,), generator=generator).tolist()
        learned = [int(any(a <= i < b for a, b in ranges)) for i in range(length)]
        result.append({"ids": ids, "learned": learned})
    return result


def old_spelling(config):
    """A version 4 config.json from a version 5 one."""
    config = dict(config)
    parameters = dict(config.pop("rope_parameters"))
    config["rope_theta"] = parameters.pop("rope_theta")
    scaled = parameters["rope_type"] != "default"
    config["rope_scaling"] = parameters if scaled else None
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.46.0"
    return dict(sorted(config.items()))
