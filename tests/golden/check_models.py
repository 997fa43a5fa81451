#!/usr/bin/env python3
"""Compares Aha with transformers on folders of every family, whole programs on both sides. Not part of `aha test`.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 torch==2.15.0
    venv/bin/python tests/golden/check_models.py BUILD_FOLDER SCRATCH_FOLDER [MODEL ...]

For each model of make_model_golden.py, with the embedded base's tokenizer: `aha logits` in fp32 and bf16 against
transformers; the folder loaded and saved by Aha (tests/policy/resave) holds the same tensors and gives the same logits in
transformers; `aha generate` works; and a short SFT and RL run (examples/own_data) ends in a folder that transformers
and Aha agree on. Prints a line a model; ends with 1 when one differs.
"""
import json
import os
import shutil
import subprocess
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

sys.path.insert(0, os.path.dirname(__file__))
import make_model_golden as golden  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOKENS = 200
SHAPE = dict(vocab_size=768, hidden_size=32, intermediate_size=48, max_position_embeddings=1024)


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def reference(folder, ids, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float()


def ours(aha, folder, ids, dtype, scratch):
    out = os.path.join(scratch, "logits.safetensors")
    run(aha, "logits", folder, "--ids", ",".join(map(str, ids)), "--out", out, "--dtype", dtype)
    return load_file(out)["logits"]


def agreement(a, b):
    return (a.argmax(-1) == b.argmax(-1)).float().mean().item()


def same_tensors(a, b):
    a, b = load_file(os.path.join(a, "model.safetensors")), load_file(os.path.join(b, "model.safetensors"))
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a)


def train(aha, folder, scratch):
    """SFT, then RL, from `folder`; returns the checkpoint of each."""
    with open(os.path.join(ROOT, "examples", "own_data", "recipe.textproto")) as f:
        recipe = f.read().replace('model: "embedded"', f'model: "{folder}"').replace("max_new_tokens: 96", "max_new_tokens: 16")
        recipe = recipe.replace("epochs: 4", "epochs: 1").replace("steps: 4", "steps: 2")
    shutil.copy(os.path.join(ROOT, "examples", "own_data", "problems.jsonl"), scratch)
    path = os.path.join(scratch, "recipe.textproto")
    with open(path, "w") as f:
        f.write(recipe)
    out = os.path.join(scratch, "run")
    shutil.rmtree(out, ignore_errors=True)
    run(aha, "run", path, "--out", out, "--set", "threads=1")
    return [os.path.join(out, stage, "checkpoint") for stage in ("warm-up", "rl")]


def check(name, config, build, scratch):
    aha, resave = os.path.join(build, "pipelines", "aha"), os.path.join(build, "tests", "policy", "resave")
    folder, again = os.path.join(scratch, name), os.path.join(scratch, name + "-again")
    for place in (folder, again):
        shutil.rmtree(place, ignore_errors=True)
    os.makedirs(folder)
    golden.make_model(config, folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(ROOT, "pipelines", "base", file), folder)
    ids = [(i * i * 7 + i * 13 + 5) % config.vocab_size for i in range(TOKENS)]

    want, got = reference(folder, ids, torch.float32), ours(aha, folder, ids, "fp32", scratch)
    half = agreement(reference(folder, ids, torch.bfloat16), ours(aha, folder, ids, "bf16", scratch))
    difference, top = (want - got).abs().max().item(), agreement(want, got)

    run(resave, folder, again)
    round_trip = same_tensors(folder, again) and torch.equal(reference(again, ids, torch.float32), want)

    run(aha, "generate", folder, "--prompt", "How many eggs?", "--max-new", "8", "--json")
    worst = 0.0
    for checkpoint in train(aha, folder, scratch):
        trained = reference(checkpoint, ids, torch.float32)
        assert not torch.equal(trained, want), f"{checkpoint}: nothing was learned"
        worst = max(worst, (trained - ours(aha, checkpoint, ids, "fp32", scratch)).abs().max().item())
    good = difference < 1e-4 and top == 1.0 and round_trip and worst < 1e-4
    print(f"{name:26} fp32 {difference:.1e}  top-1 {top:.3f}  bf16 top-1 {half:.3f}  round trip {'equal' if round_trip else 'DIFFERS'}"
          f"  trained {worst:.1e}  {'' if good else 'FAILED'}", flush=True)
    return good


def main():
    build, scratch, only = sys.argv[1], sys.argv[2], sys.argv[3:]
    torch.set_num_threads(1)
    os.makedirs(scratch, exist_ok=True)
    golden.BASE.update(SHAPE)
    good = True
    for name, config in golden.MODELS.items():
        if only and name not in only:
            continue
        try:
            good &= check(name, config(), build, scratch)
        except (RuntimeError, AssertionError) as error:
            good = False
            print(f"{name:26} FAILED: {error}", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
