"""Compares logits of a Megatron checkpoint with those of the Hugging Face directory that Tuneyard made of it.

    F=packages/formats/test/fixtures/torch-dcp
    tuneyard convert $F/megatron-stacked-tp2 OUT --to hf --config $F/megatron-stacked-tp2/hf
    python test/oracles/check_dcp_convert.py megatron-stacked-tp2 OUT

Megatron-core loads its own checkpoint into a model of one rank, transformers loads the directory; both compute in
float32. Needs `requirements-dcp.txt`. Prints one line of JSON.
"""

import contextlib
import json
import os
import sys

import torch
import torch.distributed as dist

import make_dcp_fixtures as fixtures

IDS = [[5, 1, 30, 22, 7, 36, 2, 19]]


class NoTracker:
    """Random state matters to nothing here: no dropout, no initialisation."""

    def fork(self, *_):
        return contextlib.nullcontext()


def settle_megatron():
    import megatron.core.tensor_parallel as tensor_parallel
    from megatron.core.transformer.moe import moe_utils

    tensor_parallel.get_cuda_rng_tracker = lambda *_, **__: NoTracker()
    # The name is defined only where Transformer Engine is installed.
    moe_utils.te_general_gemm = None


def megatron_logits(case):
    from megatron.core import dist_checkpointing

    experts = 4 if "experts" in case else None
    model = fixtures.megatron_model(qwen2=case == "megatron-stacked-tp2", experts=experts)
    layout = {"singleton_local_shards": True} if "layers" in case else {}
    state = {"model": model.sharded_state_dict(metadata=layout)}
    state = dist_checkpointing.load(state, str(fixtures.OUT / case))
    model.load_state_dict(state["model"], strict=False)
    model = model.float().eval()
    for module in model.modules():
        if hasattr(getattr(module, "config", None), "params_dtype"):
            module.config.params_dtype, module.config.bf16 = torch.float32, False
        if isinstance(module, torch.nn.RMSNorm):
            module.eps = 1e-6
        if hasattr(module, "input_in_bf16"):
            module.input_in_bf16 = module.input_in_float16 = False
    length = len(IDS[0])
    mask = torch.triu(torch.ones(1, 1, length, length, dtype=torch.bool), 1)
    with torch.no_grad():
        logits = model(torch.tensor(IDS), torch.arange(length)[None], mask)
    return logits.float()[0, :, : fixtures.VOCAB]


def transformers_logits(case, directory):
    from transformers import AutoModelForCausalLM

    # Megatron takes the softmax over the chosen experts.
    more = {"norm_topk_prob": True} if "experts" in case else {}
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, **more).eval()
    with torch.no_grad():
        return model(torch.tensor(IDS)).logits[0]


def main():
    case, directory = sys.argv[1:3]
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(fixtures.free_port()))
    dist.init_process_group("gloo", rank=0, world_size=1)
    fixtures.without_gpu()
    settle_megatron()
    a, b = megatron_logits(case), transformers_logits(case, directory)
    found = {"case": case, "maxDifference": (a - b).abs().max().item(), "scale": b.abs().max().item()}
    print(json.dumps(found))
    assert found["maxDifference"] < 1e-6 * max(1.0, found["scale"])


if __name__ == "__main__":
    main()
