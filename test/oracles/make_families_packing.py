"""Writes packages/weights/test/fixtures/families-packing.json: what lies in packed tensors, as hashes.

    HF_HUB_OFFLINE=1 python test/oracles/make_families_packing.py

Every tensor of a fixture's files is filled by `filled(name, shape)`. `logical`: hashes of the parts of packed
tensors, unpacked by `family_packing`, whose cuts are confirmed here (Phi 3, GLM) and in `check_remote_families.py`
(the others) by equal logits. `fused`: hashes of the tensors that transformers makes of published experts when it
loads them.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from check_remote_families import IDS, random_like
from family_packing import GATE_UP, QKV, unpack

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/weights/test/fixtures/families"
PACKED = ("qwen", "baichuan", "chatglm", "internlm2", "phi3", "glm", "glm4")


def filled(name, shape):
    """Element i is ((31 i + seed) mod 8191) / 8191 - 0.5, where seed sums (k + 1) · code of the name's characters."""
    seed = sum((k + 1) * ord(letter) for k, letter in enumerate(name))
    index = np.arange(int(np.prod(shape)), dtype=np.int64)
    values = ((index * 31 + seed) % 8191) / 8191 - 0.5
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def logical_hashes(name, fixture):
    stored = {key: filled(key, shape) for key, shape in fixture["published"]}
    packed = {key: value for key, value in stored.items() if key.rsplit(".", 2)[-2] in (*QKV, *GATE_UP)}
    return {key: digest(value) for key, value in sorted(unpack(name, fixture["config"], packed).items())}


def fused_hashes(fixture):
    published = {name for name, _ in fixture["published"]}
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "config.json").write_text(json.dumps({**fixture["config"], "dtype": "float32"}))
        weights = {name: filled(name, shape) for name, shape in fixture["published"]}
        save_file(weights, Path(directory) / "model.safetensors", {"format": "pt"})
        model = AutoModelForCausalLM.from_pretrained(directory)
    state = model.state_dict()
    return {key: digest(value) for key, value in sorted(state.items()) if key not in published}


def confirm_phi3(fixture):
    """Phi 3 without a partial rotation is Llama with packed tensors."""
    config = fixture["config"]
    torch.manual_seed(2)
    from transformers import Phi3Config, Phi3ForCausalLM

    packed = Phi3ForCausalLM(Phi3Config(**config)).float().eval()
    packed.load_state_dict({k: random_like(v) for k, v in packed.state_dict().items()})
    keys = (
        "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads vocab_size rms_norm_eps"
    ).split()
    plain = LlamaForCausalLM(LlamaConfig(**{key: config[key] for key in keys})).float().eval()
    plain.load_state_dict(unpack("phi3", config, packed.state_dict()))
    confirm("phi3", packed, plain)


class SplitMlp(torch.nn.Module):
    def __init__(self, packed, config):
        super().__init__()
        parts = unpack("glm", config, {"model.layers.0.mlp.gate_up_proj.weight": packed.gate_up_proj.weight.data})
        self.gate = parts["model.layers.0.mlp.gate_proj.weight"]
        self.up = parts["model.layers.0.mlp.up_proj.weight"]
        self.down = packed.down_proj.weight.data

    def forward(self, x):
        return (torch.nn.functional.silu(x @ self.gate.T) * (x @ self.up.T)) @ self.down.T


def confirm_glm(name, fixture):
    from transformers import CONFIG_MAPPING

    torch.manual_seed(3)
    config = CONFIG_MAPPING[name](**fixture["config"])
    models = [AutoModelForCausalLM.from_config(config).float().eval() for _ in range(2)]
    state = {k: random_like(v) for k, v in models[0].state_dict().items()}
    for model in models:
        model.load_state_dict(state)
    for layer in models[1].model.layers:
        layer.mlp = SplitMlp(layer.mlp, fixture["config"])
    confirm(name, *models)


def confirm(name, packed, plain):
    with torch.no_grad():
        first, second = (model(IDS, use_cache=False).logits for model in (packed, plain))
    difference = (first - second).abs().max().item()
    print(json.dumps({"family": name, "max": difference, "scale": first.abs().max().item()}))
    assert difference < 1e-5 * first.abs().max().item(), name


def main():
    fixtures = {path.stem: json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))}
    confirm_phi3(fixtures["phi3"])
    for name in ("glm", "glm4"):
        confirm_glm(name, fixtures[name])
    result = {
        "logical": {name: logical_hashes(name, fixtures[name]) for name in PACKED},
        "fused": {name: fused_hashes(fixture) for name, fixture in fixtures.items() if "fused" in fixture},
    }
    path = FIXTURES.parent / "families-packing.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
