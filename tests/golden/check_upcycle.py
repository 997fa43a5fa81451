#!/usr/bin/env python3
"""Upcycled models in transformers: Llama -> Mixtral and Qwen2 -> Qwen2Moe. Not part of `aha test`.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 torch==2.15.0
    venv/bin/python tests/golden/check_upcycle.py AHA SCRATCH_FOLDER [DENSE_FOLDER ...]

Dense models with random weights (torch's seed 11), and any DENSE_FOLDER given, go through `aha upcycle`; without noise the
mixture must compute in transformers what the dense model does, and `aha logits` must give the mixture the same: both are
compared in fp32 with the dense model in float64, and may be off by up to LIMIT times what the dense model in fp32 is off
itself by rounding. The last column is the mixture with noise on its experts, which must differ. Prints a line a model;
ends with 1 when one is further off.
"""
import os
import shutil
import subprocess
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

SHAPE = dict(vocab_size=512, hidden_size=64, intermediate_size=160, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.15)
DENSE = {"llama": LlamaConfig(**SHAPE), "llama-tied": LlamaConfig(**SHAPE, tie_word_embeddings=True),
         "qwen2": Qwen2Config(**SHAPE), "qwen2-tied": Qwen2Config(**SHAPE, tie_word_embeddings=True)}
TOKENS = 128
LIMIT = 4


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")


def logits(folder, ids, dtype=torch.float32):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    with torch.no_grad():
        return type(model).__name__, model(torch.tensor([ids])).logits[0].double()


def check(aha, name, dense, scratch):
    sparse = os.path.join(scratch, name + "-sparse")
    noisy = os.path.join(scratch, name + "-noisy")
    for out, more in ((sparse, ()), (noisy, ("--noise", "0.1"))):
        shutil.rmtree(out, ignore_errors=True)
        run(aha, "upcycle", dense, out, "--experts", 8, "--active", 2, *more)
    ids = list(range(1, TOKENS + 1))
    before, exact = logits(dense, ids, torch.float64)
    after, mixture = logits(sparse, ids)
    file = os.path.join(scratch, "logits.safetensors")
    run(aha, "logits", sparse, "--ids", ",".join(map(str, ids)), "--out", file, "--dtype", "fp32")

    def off(got):
        return (got - exact).abs().max().item()

    rounding, theirs, ours = off(logits(dense, ids)[1]), off(mixture), off(load_file(file)["logits"].double())
    noise = off(logits(noisy, ids)[1])
    good = max(theirs, ours) < LIMIT * rounding and noise > 1e-3 * exact.abs().max().item()
    print(f"{name:12} {before} -> {after}: largest logit {exact.abs().max().item():.3f}; off float64: dense {rounding:.1e}, mixture "
          f"{theirs:.1e}, mixture in aha {ours:.1e}; with noise 0.1 {noise:.1e}{'' if good else '  FAILED'}", flush=True)
    return good


def main():
    aha, scratch, folders = sys.argv[1], sys.argv[2], sys.argv[3:]
    torch.set_num_threads(1)
    os.makedirs(scratch, exist_ok=True)
    good = True
    for name, config in DENSE.items():
        torch.manual_seed(11)
        dense = os.path.join(scratch, name)
        shutil.rmtree(dense, ignore_errors=True)
        model = AutoModelForCausalLM.from_config(config)
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("bias"):  # or they are zeros
                torch.nn.init.normal_(parameter, std=0.1)
        model.save_pretrained(dense)
        good &= check(aha, name, dense, scratch)
    for folder in folders:
        good &= check(aha, os.path.basename(os.path.normpath(folder)), folder, scratch)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
