#!/usr/bin/env python3
"""SFT of a Llama-family folder in Aha and in PyTorch, step for step: same examples in the same order, same
hyper-parameters. Figures for SmolLM2-135M-Instruct in docs/exactness.md.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 torch==2.15.0
    venv/bin/python bench/peers/sft_curve.py AHA SmolLM2 gsm8k/train.jsonl [--steps 100] [--dtype bf16|fp32] [--peer bf16|fp32]

Both sides: AdamW over fp32 masters (0.9, 0.95, 1e-8, decay 0.1 on matrices), gradients clipped at 1, the mean
-log P of the answers' tokens, one thread. With --dtype bf16 the model that computes is the masters rounded to bf16, on
PyTorch's side a bf16 copy without autocast; with fp32 both compute in fp32 throughout. Tokenizer and model are
transformers' own; the order of examples is worked out here from the run's seed (Philox4x32-10), not read from Aha.
Prints a table and ends with 1 when any step's loss is further than 1 % from PyTorch's.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

MASK = (1 << 64) - 1
SEED = 7
STAGE = "curve"


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def philox_bits(key, position):
    c = [position & 0xFFFFFFFF, position >> 32, 0, 0]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return (c[1] << 32) | c[0]


def shuffled(count, epoch):
    """Fisher-Yates, draw i at position i of the key (seed, "sft/STAGE", epoch)."""
    key = mix(SEED)
    for byte in f"sft/{STAGE}".encode():
        key = mix(key ^ byte)
    key = mix(key ^ mix(epoch))
    order = list(range(count))
    for i in range(count, 1, -1):
        j = (philox_bits(key, i) * i) >> 64
        order[i - 1], order[j] = order[j], order[i - 1]
    return order


def examples_of(folder, path, longest):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    stop = json.load(open(os.path.join(folder, "config.json")))["eos_token_id"]
    out = []
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        prompt = tokenizer(row["question"] + "\n", add_special_tokens=False)["input_ids"]
        answer = tokenizer(row["answer"], add_special_tokens=False)["input_ids"] + [stop]
        if len(prompt) + len(answer) <= longest:
            out.append((prompt + answer, len(prompt)))
    return out


def batches(o, examples):
    orders = {}
    for step in range(o.steps):
        batch = []
        for k in range(step * o.batch, (step + 1) * o.batch):
            epoch = k // len(examples)
            if epoch not in orders:
                orders[epoch] = shuffled(len(examples), epoch)
            batch.append(examples[orders[epoch][k % len(examples)]])
        yield batch


def rate_of(o, step):
    return o.rate * min(1.0, (step + 1) / o.warmup)


def torch_curve(o, examples):
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[o.peer or o.dtype]
    model = AutoModelForCausalLM.from_pretrained(o.folder, dtype=dtype, attn_implementation="sdpa").train()
    parameters = list(model.parameters())
    masters = [torch.nn.Parameter(p.detach().float().clone()) for p in parameters]
    groups = [{"params": [m for m in masters if m.dim() >= 2], "weight_decay": 0.1},
              {"params": [m for m in masters if m.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=o.rate, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step, batch in enumerate(batches(o, examples)):
        width = max(len(ids) for ids, _ in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        seen = torch.zeros(len(batch), width, dtype=torch.long)
        target = torch.zeros(len(batch), width)
        for i, (tokens, prompt) in enumerate(batch):
            ids[i, :len(tokens)] = torch.tensor(tokens)
            seen[i, :len(tokens)] = 1
            target[i, prompt:len(tokens)] = 1
        logits = model(input_ids=ids, attention_mask=seen).logits[:, :-1].float()
        logprob = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None])[..., 0]
        loss = -(logprob * target[:, 1:]).sum() / target.sum()
        loss.backward()
        for master, p in zip(masters, parameters):
            master.grad = p.grad.float()
            p.grad = None
        norms.append(torch.nn.utils.clip_grad_norm_(masters, 1.0).item())
        for group in optimizer.param_groups:
            group["lr"] = rate_of(o, step)
        optimizer.step()
        with torch.no_grad():
            for master, p in zip(masters, parameters):
                p.copy_(master)
        losses.append(loss.item())
    return losses, norms


def aha_curve(o, folder, scratch):
    recipe = os.path.join(scratch, "curve.textproto")
    with open(recipe, "w", encoding="utf-8") as f:
        f.write(f"""name: "curve" seed: {SEED} threads: 1 model: "{os.path.abspath(folder)}"
stage {{ name: "{STAGE}" sft {{
  jsonl {{ path: "{os.path.abspath(o.jsonl)}" }} template: "plain"
  batch: {o.batch} max_steps: {o.steps} max_tokens: {o.tokens} epochs: 1000 commit_every: 1000000
  optimizer {{ learning_rate: {o.rate} warmup_steps: {o.warmup} }}
}} }}
""")
    run = os.path.join(scratch, "run")
    subprocess.run([o.aha, "-q", "run", recipe, "--out", run], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in open(os.path.join(run, STAGE, "metrics.jsonl"), encoding="utf-8")]
    return [line["loss"] for line in lines], [line["gradient_norm"] for line in lines], lines[0]["examples"]


def fp32_copy(folder, scratch):
    copy = os.path.join(scratch, "fp32")
    os.makedirs(copy)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(tensors, os.path.join(copy, "model.safetensors"), metadata={"format": "pt"})
    config = json.load(open(os.path.join(folder, "config.json"), encoding="utf-8"))
    config["dtype"] = config["torch_dtype"] = "float32"
    json.dump(config, open(os.path.join(copy, "config.json"), "w", encoding="utf-8"))
    for name in os.listdir(folder):
        if name not in ("config.json", "model.safetensors"):
            os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(copy, name))
    return copy


def main():
    p = argparse.ArgumentParser()
    p.add_argument("aha")
    p.add_argument("folder")
    p.add_argument("jsonl")
    p.add_argument("--steps", type=int, default=100)
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--tokens", type=int, default=96, help="longest example")
    p.add_argument("--rate", type=float, default=2e-5)
    p.add_argument("--warmup", type=int, default=10)
    p.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    p.add_argument("--peer", choices=("bf16", "fp32"), help="PyTorch's number type, if another")
    o = p.parse_args()
    torch.set_num_threads(1)
    examples = examples_of(o.folder, o.jsonl, o.tokens)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.time()
        ours, our_norms, count = aha_curve(o, o.folder if o.dtype == "bf16" else fp32_copy(o.folder, scratch), scratch)
        middle = time.time()
    if count != len(examples):
        print(f"Aha trains on {count} examples, here there are {len(examples)}")
        return 1
    theirs, their_norms = torch_curve(o, examples)
    end = time.time()
    apart = [abs(a - b) / b for a, b in zip(ours, theirs)]
    print(f"{o.dtype}{f', PyTorch in {o.peer}' if o.peer else ''}, {o.steps} steps of {o.batch} examples of at most {o.tokens} tokens ({len(examples)} examples), rate {o.rate}: "
          f"Aha {middle - start:.0f} s, PyTorch {torch.__version__} {end - middle:.0f} s, one thread each\n")
    print("| step | Aha | PyTorch | apart | norm, Aha | norm, PyTorch |\n|---|---|---|---|---|---|")
    for k in sorted({0, 1, 4, *range(9, o.steps, 10), o.steps - 1}):
        print(f"| {k + 1} | {ours[k]:.5f} | {theirs[k]:.5f} | {apart[k]:.2e} | {our_norms[k]:.4f} | {their_norms[k]:.4f} |")
    worst = max(range(o.steps), key=lambda k: apart[k])
    mean = sum(apart) / len(apart)
    print(f"\nfurthest apart: step {worst + 1}, {apart[worst]:.2e}; mean {mean:.2e}; within 1 %: "
          f"{sum(a <= 0.01 for a in apart)} of {o.steps} steps")
    return 0 if all(math.isfinite(a) and a <= 0.01 for a in apart) else 1


if __name__ == "__main__":
    sys.exit(main())
