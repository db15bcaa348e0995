"""Runs published modelling code of Qwen 1, Baichuan, ChatGLM and InternLM2 beside a family of transformers.

    PYTHONPATH=<transformers 4.41> python test/oracles/check_remote_families.py run CODE_DIR OUT
    python test/oracles/check_remote_families.py compare OUT

`run` builds the tiny configuration of packages/weights/test/fixtures/families with the code in
CODE_DIR/<family>_remote/ (configuration_*.py and modeling_*.py of the model's repository, which is not kept here) and
random weights, checks names and shapes against the fixture, and writes weights and logits to OUT. `compare` unpacks
the weights with `family_packing.unpack` into Llama, Qwen 2 or GLM of current transformers and prints the largest
difference of the logits. Baichuan's code at hand is that of 13B: its ALiBi is switched off in `run`, the rotation in
`compare`, which leaves the packing to be compared.
"""

import importlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/weights/test/fixtures/families"
IDS = torch.tensor([[5, 17, 3, 99, 42, 8, 61, 77, 2, 31, 54, 100]])
CODE = {
    "qwen": ("qwen", "QWenConfig", "QWenLMHeadModel"),
    "baichuan": ("baichuan", "BaichuanConfig", "BaichuanForCausalLM"),
    "chatglm": ("chatglm", "ChatGLMConfig", "ChatGLMForConditionalGeneration"),
    "internlm2": ("internlm2", "InternLM2Config", "InternLM2ForCausalLM"),
}
# Spellings of the first release of Qwen, whose code may be the one at hand.
QWEN_FIRST = {
    "n_embd": 64,
    "n_head": 8,
    "n_layer": 4,
    "ffn_hidden_size": 160,
    "padded_vocab_size": 103,
    "n_positions": 256,
    "params_dtype": "torch.float32",
    "use_flash_attn": False,
    "use_dynamic_ntk": False,
    "use_logn_attn": False,
    "fp32": True,
    "attn_pdrop": 0.0,
    "resid_pdrop": 0.0,
    "attn_dropout_prob": 0.0,
    "emb_dropout_prob": 0.0,
    "pos_emb": "rotary",
    "onnx_safe": None,
    "bias_dropout_fusion": True,
}

EXTRA = {"qwen": QWEN_FIRST, "chatglm": {"original_rope": True}}


def run(code, out):
    sys.path.insert(0, str(code))
    out.mkdir(parents=True, exist_ok=True)
    for name, (stem, config_class, model_class) in CODE.items():
        fixture = json.loads((FIXTURES / f"{name}.json").read_text())
        package = f"{stem}_remote"
        configuration = importlib.import_module(f"{package}.configuration_{stem}")
        modeling = importlib.import_module(f"{package}.modeling_{stem}")
        if name == "baichuan":
            modeling._gen_alibi_mask = plain_causal
        extra = EXTRA.get(name, {})
        config = getattr(configuration, config_class)(**{**fixture["config"], **extra})
        torch.manual_seed(1)
        model = getattr(modeling, model_class)(config).float().eval()
        state = {k: random_like(v) for k, v in model.state_dict().items() if "inv_freq" not in k}
        model.load_state_dict(state, strict=False)
        found = sorted([k, list(v.shape)] for k, v in state.items())
        assert found == fixture["published"], (name, found, fixture["published"])
        with torch.no_grad():
            logits = model(IDS, use_cache=False).logits
        save_file({k: v.contiguous() for k, v in state.items()} | {"logits": logits.contiguous()}, out / f"{name}.safetensors")
        print(json.dumps({"family": name, "tensors": len(found), "names": "equal"}))


def random_like(weight):
    """Norms around one, the rest large enough that a gate and an up projection are told apart."""
    return torch.randn_like(weight) * 0.2 + (1 if weight.dim() == 1 else 0)


def plain_causal(n_head, max_pos):
    mask = torch.triu(torch.full([max_pos, max_pos], float("-inf")), 1)
    return mask.unsqueeze(0).expand(n_head, -1, -1)


def reference(name, config):
    from transformers import GlmConfig, GlmForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    sizes = {
        "hidden_size": config["hidden_size"],
        "intermediate_size": 80,
        "num_hidden_layers": 4,
        "num_attention_heads": config["num_attention_heads"],
        "vocab_size": 103,
        "tie_word_embeddings": False,
        "attn_implementation": "eager",
    }
    if name == "qwen":
        return Qwen2ForCausalLM(Qwen2Config(**sizes, num_key_value_heads=8, rms_norm_eps=1e-6))
    if name == "chatglm":
        return GlmForCausalLM(
            GlmConfig(**sizes, num_key_value_heads=8, head_dim=6, rms_norm_eps=1e-5, attention_bias=True, pad_token_id=0)
        )
    groups = config.get("num_key_value_heads", config["num_attention_heads"])
    rope = {"rope_theta": float(config.get("rope_theta", 10000)), "rope_type": "default"}
    model = LlamaForCausalLM(
        LlamaConfig(**sizes, num_key_value_heads=groups, rms_norm_eps=config["rms_norm_eps"], rope_parameters=rope)
    )
    if name == "baichuan":
        model.model.rotary_emb.inv_freq.zero_()
    return model


def compare(out):
    from family_packing import unpack

    for name in CODE:
        config = json.loads((FIXTURES / f"{name}.json").read_text())["config"]
        stored = load_file(out / f"{name}.safetensors")
        expected = stored.pop("logits")
        state = unpack(name, config, stored)
        model = reference(name, config).float().eval()
        if name == "chatglm":
            for i in range(4):
                mlp = f"model.layers.{i}.mlp"
                halves = [state.pop(f"{mlp}.{part}_proj.weight") for part in ("gate", "up")]
                state[f"{mlp}.gate_up_proj.weight"] = torch.cat(halves)
        model.load_state_dict(state, strict=True)
        with torch.no_grad():
            logits = model(IDS).logits
        difference = (logits - expected).abs().max().item()
        print(json.dumps({"family": name, "against": type(model).__name__, "max": difference, "scale": expected.abs().max().item()}))
        assert difference < 1e-4 * max(1.0, expected.abs().max().item()), name


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        compare(Path(sys.argv[2]))
