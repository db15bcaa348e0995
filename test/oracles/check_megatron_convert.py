"""Loads checkpoints that `tuneyard convert` wrote into megatron-core and compares logits with transformers.

    npm run build && python test/oracles/check_megatron_convert.py [case ...]

For each case a tiny model is saved in Hugging Face's form, converted by the command line to every listed division,
loaded rank by rank (one process each, gloo, CPU) into megatron-core's GPTModel with the local layer specification and
`strict=True`, and run on a few tokens in float32. Weights are a formula of their index, so that the TypeScript tests can
make the same ones. Written: packages/weights/test/fixtures/megatron/megatron-core.json with the largest differences and
a hash of every tensor that was loaded. Needs: requirements-megatron.txt.
"""

import argparse
import hashlib
import json
import os
import subprocess
import tempfile
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file

warnings.filterwarnings("ignore")

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "packages" / "weights" / "test" / "fixtures" / "megatron" / "megatron-core.json"
PORT = "29511"

SMALL = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=4,
    num_attention_heads=8,
    num_key_value_heads=4,
    vocab_size=96,
    max_position_embeddings=64,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)
MOE = dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, norm_topk_prob=True)
TIED = dict(tie_word_embeddings=True)

# name: (configuration class, changes, divisions: options of the command line)
CASES = {
    "llama": ("LlamaConfig", {}, [[1, 1], [2, 1], [4, 1], [1, 2], [2, 2], [1, 4]]),
    "llama-tied": ("LlamaConfig", TIED, [[1, 1], [2, 1], [2, 2]]),
    "qwen2": ("Qwen2Config", {}, [[1, 1], [4, 1], [2, 2]]),
    "qwen3": ("Qwen3Config", dict(head_dim=8), [[1, 1], [2, 2]]),
    "qwen3-moe": ("Qwen3MoeConfig", dict(head_dim=8, **MOE), [[1, 1], [2, 1], [1, 2]]),
}
TOKENS = [[1, 5, 9, 2, 77, 31, 8, 64, 3, 50]]


def fill(file):
    """The k-th element, counted through the file's tensors by name, is a fraction that the product of k decides."""
    tensors, start = load_file(file), 1
    for name in sorted(tensors):
        shape = tensors[name].shape
        k = np.arange(start, start + shape.numel(), dtype=np.uint64)
        fraction = ((k * np.uint64(2654435761)) % np.uint64(2**32)).astype(np.float64) / 2**32 - 0.5
        values = fraction * 0.25 + (1 if "norm" in name else 0)
        tensors[name] = torch.from_numpy(values.astype(np.float32)).reshape(shape)
        start += shape.numel()
    save_file(tensors, file, metadata={"format": "pt"})


def save_model(name, directory):
    import transformers

    kind, changes, _ = CASES[name]
    config = getattr(transformers, kind)(**{**SMALL, **changes})
    options = dict(dtype=torch.float32, attn_implementation="eager")
    transformers.AutoModelForCausalLM.from_config(config, **options).save_pretrained(directory)
    fill(directory / "model.safetensors")
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, **options).eval()
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits


def build(config, pre_process, post_process):
    from megatron.core.models.gpt import GPTModel
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.transformer.transformer_config import TransformerConfig

    experts = config.get("num_experts") or config.get("num_local_experts")
    tp, pp = config["tp"], config["pp"]
    moe = dict(
        num_moe_experts=experts,
        moe_ffn_hidden_size=config.get("moe_intermediate_size"),
        moe_router_topk=config.get("num_experts_per_tok"),
        moe_router_pre_softmax=False,
        moe_router_load_balancing_type="none",
        moe_token_dispatcher_type="allgather",
    )
    transformer = TransformerConfig(
        num_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        ffn_hidden_size=config["intermediate_size"],
        num_attention_heads=config["num_attention_heads"],
        num_query_groups=config["num_key_value_heads"],
        kv_channels=config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"],
        normalization="RMSNorm",
        layernorm_epsilon=config["rms_norm_eps"],
        gated_linear_unit=True,
        activation_func=torch.nn.functional.silu,
        add_bias_linear=False,
        add_qkv_bias=config["model_type"] == "qwen2",
        qk_layernorm=config["model_type"].startswith("qwen3"),
        attention_dropout=0.0,
        hidden_dropout=0.0,
        use_cpu_initialization=True,
        tensor_model_parallel_size=tp,
        pipeline_model_parallel_size=pp,
        pipeline_dtype=torch.float32,
        masked_softmax_fusion=False,
        bias_activation_fusion=False,
        bias_dropout_fusion=False,
        apply_rope_fusion=False,
        gradient_accumulation_fusion=False,
        perform_initialization=False,
        **(moe if experts else {}),
    )
    spec = get_gpt_layer_local_spec(
        num_experts=experts, qk_layernorm=transformer.qk_layernorm, normalization="RMSNorm"
    )
    return GPTModel(
        transformer,
        spec,
        vocab_size=config["vocab_size"],
        max_sequence_length=config["max_position_embeddings"],
        pre_process=pre_process,
        post_process=post_process,
        parallel_output=False,
        share_embeddings_and_output_weights=config["tie_word_embeddings"],
        position_embedding_type="rope",
        rotary_base=int(config["rope_parameters"]["rope_theta"]),
    )


def load(model, file):
    saved = torch.load(file, weights_only=False)
    weights = saved["model"]
    missing, unexpected = model.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("_extra_state")]
    assert not missing and not unexpected, (missing, unexpected)
    for name, parameter in model.state_dict().items():
        if isinstance(parameter, torch.Tensor):
            assert torch.equal(parameter, weights[name]), name


def run_rank(rank, config, checkpoint, logits):
    """One tensor and pipeline rank; activations go from stage to stage by plain sends."""
    from megatron.core import parallel_state
    from megatron.core.tensor_parallel import random
    from megatron.core.transformer.moe import moe_utils

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=PORT)
    torch.set_num_threads(1)
    torch.cuda.current_device = lambda: "cpu"  # where rotary angles are put
    moe_utils.te_general_gemm = None  # its name is missing without Transformer Engine
    torch.Tensor.cuda = lambda tensor, *_, **__: tensor
    random.CudaRNGStatesTracker.fork = lambda *_: nullcontext()  # nothing is dropped
    tp, pp = config["tp"], config["pp"]
    dist.init_process_group("gloo", rank=rank, world_size=tp * pp)
    parallel_state.initialize_model_parallel(tp, pp)
    t, p = parallel_state.get_tensor_model_parallel_rank(), parallel_state.get_pipeline_model_parallel_rank()
    model = build(config, p == 0, p == pp - 1)
    directory = f"mp_rank_{t:02d}" + (f"_{p:03d}" if pp > 1 else "")
    load(model, Path(checkpoint) / "iter_0000001" / directory / "model_optim_rng.pt")
    model.eval()
    tokens = torch.tensor(TOKENS)
    length = tokens.shape[1]
    mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)[None, None]
    with torch.no_grad():
        if p > 0:
            hidden = torch.empty(length, tokens.shape[0], config["hidden_size"])
            dist.recv(hidden, rank - tp)
            model.set_input_tensor(hidden)
        out = model(tokens, torch.arange(length)[None], mask)
        if p < pp - 1:
            dist.send(out.contiguous(), rank + tp)
        elif t == 0:
            torch.save(out, logits)
    dist.barrier()
    dist.destroy_process_group()


def hashes(checkpoint):
    found = {}
    for file in sorted(Path(checkpoint).glob("iter_0000001/*/model_optim_rng.pt")):
        weights = torch.load(file, weights_only=False)["model"]
        found[file.parent.name] = {
            name: hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest()[:16] for name, t in weights.items()
        }
    return found


def check(name, tp, pp, work):
    hf, out = work / "hf", work / f"tp{tp}-pp{pp}"
    expected = save_model(name, hf)
    command = ["node", "apps/cli/bin/tuneyard.js", "convert", str(hf), str(out), "--to", "megatron"]
    subprocess.run([*command, "--tp", str(tp), "--pp", str(pp)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    config = {**json.loads((hf / "config.json").read_text()), "tp": tp, "pp": pp}
    file = work / "logits.pt"
    mp.spawn(run_rank, (config, str(out), str(file)), nprocs=tp * pp)
    found = torch.load(file)
    difference = (found - expected).abs().max().item()
    keep = {k: v for k, v in config.items() if k not in ("tp", "pp", "transformers_version", "dtype")}
    return keep, {
        "largest_logit": round(expected.abs().max().item(), 4),
        "largest_difference": float(f"{difference:.1e}"),
        "tensors": hashes(out),
    }


def main():
    import megatron.core
    import transformers

    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    result = {
        "made_with": {
            "script": "test/oracles/check_megatron_convert.py",
            "megatron-core": megatron.core.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "cases": json.loads(TARGET.read_text())["cases"] if TARGET.exists() else {},
    }
    for name in options.cases or CASES:
        case = {"divisions": {}}
        for tp, pp in CASES[name][2]:
            with tempfile.TemporaryDirectory() as work:
                case["config"], case["divisions"][f"tp{tp}-pp{pp}"] = check(name, tp, pp, Path(work))
            facts = case["divisions"][f"tp{tp}-pp{pp}"]
            print(name, tp, pp, facts["largest_logit"], facts["largest_difference"], flush=True)
        result["cases"][name] = case
        TARGET.write_text(json.dumps(result, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
