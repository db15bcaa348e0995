"""Writes packages/engine/test/fixtures/tiny/<family>: model, logits, gradients, curves, greedy ids.

    python test/oracles/make_tiny_models.py [family ...]

Everything is computed in float64 (see float64_mode.py) and rounded once to float32; the distance of
plain float32 transformers from that is recorded beside it, as a floor for tolerances.
"""

import copy
import json
import pathlib
import re
import sys

import gguf
import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from float64_mode import float64_mode
from tiny_families import (
    CONFIGS,
    OLD_SPELLING,
    VOCAB,
    build,
    gaussian,
    generator_for,
    old_spelling,
    sequences_for,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "packages/engine/test/fixtures/tiny"
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA = 4, 8
CURVE_FAMILIES = {"llama", "qwen3"}
CURVE = dict(
    steps=50,
    learningRate=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weightDecay=0.01,
    maxGradNorm=1.0,
)
NO_DECAY = ("norm", "bias")
PROVENANCE = {
    "script": "test/oracles/make_tiny_models.py",
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "peft": peft.__version__,
    "precision": "computed in float64, rounded once to float32",
    "weights": "seeded random numbers; derived from no published model",
}


def write_json(path, value):
    """Indented JSON with every list of numbers on one line."""

    def on_one_line(match):
        return re.sub(r"\s+", " ", match.group()).replace("[ ", "[").replace(" ]", "]")

    text = json.dumps(value, indent=2)
    path.write_text(re.sub(r"\[[-+.,\de\s]*\]", on_one_line, text) + "\n")


def sequence_loss(model, sequence):
    """Sum over learned positions of -log p(token | tokens before it)."""
    ids = torch.tensor([sequence["ids"]])
    logits = model(ids, use_cache=False).logits[0, :-1]
    learned = torch.tensor(sequence["learned"][1:], dtype=torch.bool)
    losses = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
    return losses[learned].sum()


def learned_tokens(sequences):
    return sum(sum(sequence["learned"][1:]) for sequence in sequences)


def loss_of(model, sequences):
    total = sum(sequence_loss(model, sequence) for sequence in sequences)
    return total / learned_tokens(sequences)


def both(sequence):
    return zip(sequence["ids"], sequence["learned"], strict=True)


def padded_loss(model, sequences):
    """The same loss as one right-padded batch with an attention mask and labels of -100."""
    length = max(len(sequence["ids"]) for sequence in sequences)
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, sequence in enumerate(sequences):
        for column, (token, learned) in enumerate(both(sequence)):
            ids[row, column], mask[row, column] = token, 1
            labels[row, column] = token if learned else -100
    logits = model(ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, VOCAB), labels[:, 1:].reshape(-1), ignore_index=-100
    )


def wide(model):
    return copy.deepcopy(model).double()


def logits_of(model, sequences):
    with torch.no_grad():
        return [model(torch.tensor([s["ids"]]), use_cache=False).logits[0] for s in sequences]


def checked_logits(model, sequences):
    """Float64 logits, and how far plain float32 is from them."""
    with float64_mode():
        truth = logits_of(wide(model), sequences)
    single = logits_of(model, sequences)
    return truth, max((a - b).abs().max().item() for a, b in zip(truth, single, strict=True))


def gradients_of(model, sequences, rename=lambda name: name):
    """Float64 loss and the gradient of every parameter that is trained."""
    model = wide(model)
    with float64_mode():
        loss = loss_of(model, sequences)
        loss.backward()
        padded = padded_loss(model, sequences).item()
    assert abs(padded - loss.item()) < 1e-12
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in trained.values()])).item()
    tensors = {rename(n): g.float().contiguous() for n, g in trained.items()}
    return {"loss": loss.item(), "gradNorm": norm}, tensors


def greedy(model, prompt, count):
    """Argmax continuation, each step from the whole prefix; also the closest call on the way."""
    ids, gap = list(prompt), float("inf")
    with torch.no_grad():
        for _ in range(count):
            top = model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
            gap = min(gap, (top.values[0] - top.values[1]).item())
            ids.append(top.indices[0].item())
    return ids[len(prompt) :], gap


def greedy_record(model, name):
    generator = generator_for(name + "/prompt")
    prompt = [1] + torch.randint(3, VOCAB, (4,), generator=generator).tolist()
    with float64_mode():
        ids, gap = greedy(wide(model), prompt, 20)
    generated = model.generate(
        torch.tensor([prompt]), max_new_tokens=20, min_new_tokens=20, do_sample=False
    )
    assert 2 in ids or generated[0, len(prompt) :].tolist() == ids
    assert greedy(model, prompt, 20)[0] == ids
    return {"promptIds": prompt, "ids": ids, "smallestTopTwoGap": gap}


def with_adapter(model, name, **config):
    """The model with random LoRA matrices (B not zero) on the named linear layers."""
    config = {"r": RANK, "lora_alpha": ALPHA, "target_modules": LINEAR, **config}
    lora = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **config)
    adapted = get_peft_model(copy.deepcopy(model), lora)
    generator = generator_for(name + "/adapter")
    with torch.no_grad():
        for parameter_name, parameter in adapted.named_parameters():
            if "lora_A" in parameter_name:
                std = 1 / parameter.shape[1] ** 0.5
                parameter.copy_(gaussian(parameter.shape, generator, std))
            elif "lora_B" in parameter_name:
                parameter.copy_(gaussian(parameter.shape, generator, 0.1))
    return adapted.eval()


def save_adapter(adapted, directory, base):
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(directory, save_embedding_layers=False)
    (directory / "README.md").unlink(missing_ok=True)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"].sort()  # PEFT keeps a set: its order differs from run to run
    path.write_text(json.dumps(config, indent=2))


def decays(name):
    return not any(part in name for part in NO_DECAY)


def train_curve(model, sequences):
    """Loss before each step, gradient norm before clipping; AdamW as the HF Trainer sets it up."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if decays(n)], "weight_decay": CURVE["weightDecay"]},
        {"params": [p for n, p in named if not decays(n)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=CURVE["learningRate"],
        betas=(CURVE["beta1"], CURVE["beta2"]),
        eps=CURVE["eps"],
        foreach=False,
    )
    losses, norms = [], []
    for _ in range(CURVE["steps"]):
        optimizer.zero_grad()
        loss = padded_loss(model, sequences)
        loss.backward()
        parameters = [p for _, p in named]
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, CURVE["maxGradNorm"]).item())
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return losses, norms, padded_loss(model, sequences).item()


def relative_distance(a, b):
    return float(np.max(np.abs(np.array(a) - np.array(b)) / np.abs(np.array(a))))


def curve_record(model, sequences):
    with float64_mode():
        losses, norms, final = train_curve(wide(model), sequences)
    single_losses, single_norms, _ = train_curve(copy.deepcopy(model), sequences)
    return {
        "provenance": PROVENANCE,
        "optimizer": {
            "name": "AdamW",
            **CURVE,
            "schedule": "constant",
            "noDecay": "norm weights and biases",
        },
        "batch": "both sequences of fixture.json as one right-padded batch, every step",
        "losses": losses,
        "gradNorms": norms,
        "finalLoss": final,
        "float32MaxRelativeDistance": {
            "losses": relative_distance(losses, single_losses),
            "gradNorms": relative_distance(norms, single_norms),
        },
    }


def peft_key(name):
    return name.replace(".default.", ".")


def save_model(model, name, directory):
    """Saves with transformers and checks that what was saved computes the same."""
    model.save_pretrained(directory)
    if name in OLD_SPELLING:
        path = directory / "config.json"
        write_json(path, old_spelling(json.loads(path.read_text())))
    again = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
    ids = torch.arange(3, 40).view(1, -1)
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits), name


def references(model, name, directory, full):
    """Everything that is computed from a model already saved in `directory`."""
    sequences = sequences_for(name)
    fixture = {"provenance": PROVENANCE, "family": name, "sequences": sequences}
    logits, distance = checked_logits(model, sequences)
    fixture["learnedTokens"] = learned_tokens(sequences)
    fixture["logits"] = {"file": "reference.safetensors", "float32MaxAbsDistance": distance}
    tensors = {f"logits_{i}": value.float() for i, value in enumerate(logits)}
    if full:
        record, gradients = gradients_of(model, sequences)
        fixture["full"] = {**record, "gradients": "grads_full.safetensors"}
        save_file(gradients, directory / "grads_full.safetensors")
    adapted = with_adapter(model, name)
    save_adapter(adapted, directory / "adapter", f"tiny/{name}")
    record, gradients = gradients_of(adapted, sequences, peft_key)
    save_file(gradients, directory / "grads_lora.safetensors")
    logits, distance = checked_logits(adapted, sequences)
    tensors.update({f"lora_logits_{i}": value.float() for i, value in enumerate(logits)})
    fixture["lora"] = {
        **record,
        "adapter": "adapter",
        "rank": RANK,
        "alpha": ALPHA,
        "gradients": "grads_lora.safetensors",
        "float32MaxAbsDistance": distance,
    }
    save_file(tensors, directory / "reference.safetensors")
    fixture["greedy"] = greedy_record(model, name)
    write_json(directory / "fixture.json", fixture)
    if name in CURVE_FAMILIES:
        write_json(directory / "curve_full.json", curve_record(model, sequences))
        write_json(directory / "curve_lora.json", curve_record(adapted, sequences))
    print(name, json.dumps({k: fixture[k] for k in ("logits", "lora", "greedy")}))


def random_q4_k(rows, columns, generator):
    """Random Q4_K rows: every bit pattern is a legal block, so no quantizer is needed.

    Block of 256 values, 144 bytes: d f16, dmin f16, 12 bytes of packed 6-bit scales and mins,
    128 bytes of nibbles. d and dmin are chosen so that values are centred and of order 1/16.
    """
    blocks = rows * columns // 256
    data = generator.integers(0, 256, size=(blocks, 144), dtype=np.uint8)
    d = generator.uniform(0.00018, 0.00030, blocks).astype(np.float16)
    data[:, 0:2] = d.view(np.uint8).reshape(blocks, 2)
    data[:, 2:4] = (d * np.float16(7.5)).view(np.uint8).reshape(blocks, 2)
    return data.reshape(rows, -1)


def write_wide(directory):
    """A one-layer Llama in GGUF with Q4_K matrices whose rows are whole super-blocks."""
    hidden, forward, heads, kv_heads, head_dim = 256, 256, 4, 1, 64
    generator = np.random.default_rng(20251)
    writer = gguf.GGUFWriter(directory / "model.gguf", "llama")
    writer.add_name("llama-wide")
    writer.add_vocab_size(VOCAB)
    writer.add_context_length(512)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_S)
    writer.add_tokenizer_model("none")
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, rows, columns in [
        ("token_embd", VOCAB, hidden),
        ("blk.0.attn_q", heads * head_dim, hidden),
        ("blk.0.attn_k", kv_heads * head_dim, hidden),
        ("blk.0.attn_v", kv_heads * head_dim, hidden),
        ("blk.0.attn_output", hidden, heads * head_dim),
        ("blk.0.ffn_gate", forward, hidden),
        ("blk.0.ffn_up", forward, hidden),
        ("blk.0.ffn_down", hidden, forward),
    ]:
        writer.add_tensor(
            f"{name}.weight",
            random_q4_k(rows, columns, generator),
            raw_dtype=gguf.GGMLQuantizationType.Q4_K,
        )
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"]:
        norm = generator.normal(1.0, 0.2, hidden).astype(np.float32)
        writer.add_tensor(f"{name}.weight", norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_family(name, directory):
    model = build(name)
    save_model(model, name, directory)
    references(model, name, directory, full=True)


def make_wide(directory):
    write_wide(directory)
    model = AutoModelForCausalLM.from_pretrained(
        directory, gguf_file="model.gguf", dtype=torch.float32, attn_implementation="eager"
    )
    references(model.eval(), "llama-wide", directory, full=False)


def main():
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    chosen = sys.argv[1:] or [*CONFIGS, "llama-wide"]
    for name in chosen:
        directory = OUT / name
        directory.mkdir(parents=True, exist_ok=True)
        if name == "llama-wide":
            make_wide(directory)
        else:
            make_family(name, directory)
        for path in directory.rglob("*.safetensors"):
            path.chmod(0o644)


if __name__ == "__main__":
    main()
