"""Decoding beside transformers, in one run on one machine: batches of random prompts, and groups that share one.

usage: generate.py AHA MODEL_DIR [--threads 1] [--new 128]
AHA is the program; MODEL_DIR a Hugging Face folder. Needs transformers 5.23 and torch (CPU) in the Python that runs it.
Random sampling at temperature 1, nothing stops early. Prints a table of tokens per second and ratios, then one line of JSON.
"""

import argparse
import json
import subprocess
import time

import torch
import transformers

SHAPES = [  # samples at once, prompt tokens, samples that share a prompt
    (1, 64, 1),
    (16, 64, 1),
    (64, 64, 1),
    (16, 512, 16),
    (64, 512, 16),
]


def ours(args, batch, prompt, samples):
    command = [args.aha, "bench", args.model, "--batch", str(batch), "--prompt", str(prompt), "--new", str(args.new)]
    command += ["--samples", str(samples), "--threads", str(args.threads), "--json"]
    start = time.perf_counter()
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(out.strip().splitlines()[-1])
    figures["wall_s"] = time.perf_counter() - start
    prompts = batch // samples
    seconds = prompts * prompt / figures["prefill_tok_per_s"] + batch * (args.new - 1) / figures["decode_tok_per_s"]
    figures["tok_per_s"] = batch * args.new / seconds
    return figures


def theirs(model, args, batch, prompt, samples):
    ids = torch.randint(10, model.config.vocab_size - 1, (batch // samples, prompt)).repeat_interleave(samples, 0)
    mask = torch.ones_like(ids)

    def run(new):
        start = time.perf_counter()
        with torch.inference_mode():
            model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=True, temperature=1.0,
                           top_k=0, top_p=1.0, use_cache=True, pad_token_id=0, eos_token_id=None)
        return time.perf_counter() - start

    run(2)
    first = run(1)
    whole = run(args.new)
    return {"prefill_tok_per_s": batch * prompt / first, "decode_tok_per_s": batch * (args.new - 1) / (whole - first),
            "tok_per_s": batch * args.new / whole}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("aha")
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--new", type=int, default=128)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16).eval()
    model.generation_config.eos_token_id = None
    rows = []
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {args.threads} thread(s), {args.new} new tokens, bf16")
    print(f"{'shape':>22} {'aha tok/s':>10} {'decode':>8} {'peer tok/s':>11} {'decode':>8} {'ratio':>6} {'bits':>5}")
    for batch, prompt, samples in SHAPES:
        mine, other = ours(args, batch, prompt, samples), theirs(model, args, batch, prompt, samples)
        shape = f"{batch // samples} x {samples} of {prompt}"
        rows.append({"shape": shape, "aha": mine, "transformers": other, "ratio": mine["tok_per_s"] / other["tok_per_s"]})
        print(f"{shape:>22} {mine['tok_per_s']:10.1f} {mine['decode_tok_per_s']:8.1f} {other['tok_per_s']:11.1f} "
              f"{other['decode_tok_per_s']:8.1f} {rows[-1]['ratio']:6.2f} {mine['differing_bits']:5d}", flush=True)
    print(json.dumps({"threads": args.threads, "new": args.new, "rows": rows}))


if __name__ == "__main__":
    main()
