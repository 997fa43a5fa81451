"""Training beside PyTorch eager, in one run on one machine, round by round: one of ours, one of theirs.

usage: train.py AHA MODEL_DIR [--batch 8] [--length 192] [--threads 1] [--rounds 3] [--dtype bf16]
       train.py AHA --make-tiny DIR
AHA is the program; MODEL_DIR a Hugging Face folder. --make-tiny writes a DeepSeek-V3 of 4 layers, width 256 and 16 experts,
drawn at random, to DIR, and measures that. Needs transformers 5.23 and torch (CPU) in the Python that runs it; pin the whole to
one core (taskset -c 0) for one thread.

Forward, cross-entropy of every next token and backward, then AdamW: theirs on weights and moments of `dtype` (fused), ours on
bf16 weights with fp32 masters and moments. Prints tokens per second and ratios, then one line of JSON.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
import transformers


def make_tiny(folder):
    config = transformers.DeepseekV3Config(
        vocab_size=2048, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=1024, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, intermediate_size=512,
        moe_intermediate_size=128, first_k_dense_replace=1, n_routed_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2,
        n_shared_experts=1, q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
        routed_scaling_factor=2.5, norm_topk_prob=True)
    torch.manual_seed(0)
    transformers.DeepseekV3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def ours(args):
    command = [args.aha, "bench", args.model, "--train", "--batch", str(args.batch), "--length", str(args.length)]
    command += ["--threads", str(args.threads), "--json"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def theirs(args):
    """One process of its own, so that its peak memory is its own: this file again with --child."""
    command = [sys.executable, __file__, args.aha, args.model, "--batch", str(args.batch), "--length", str(args.length)]
    command += ["--threads", str(args.threads), "--dtype", args.dtype, "--child"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def child(args):
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, attn_implementation="sdpa").train()
    ids = torch.randint(0, model.config.vocab_size, (args.batch, args.length))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    # One thread measures its own time, as aha bench does: other programs' work does not count.
    clock = time.process_time if args.threads == 1 else time.perf_counter
    passes, whole = [], []
    for step in range(args.steps + 1):
        start = clock()
        logits = model(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]).float(), ids[:, 1:].reshape(-1))
        loss.backward()
        passed = clock() - start
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step > 0:  # memory is taken in the first
            passes.append(passed)
            whole.append(clock() - start)
    tokens = args.batch * args.length
    print(json.dumps({"train_tok_per_s": tokens / statistics.median(passes), "update_tok_per_s": tokens / statistics.median(whole),
                      "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("aha")
    parser.add_argument("model", nargs="?")
    parser.add_argument("--make-tiny", metavar="DIR")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=192)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--dtype", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.make_tiny:
        args.model = args.make_tiny
        make_tiny(args.model)
    if args.child:
        return child(args)
    print(f"{args.model}: {args.batch} x {args.length}, transformers {transformers.__version__}, torch {torch.__version__} eager "
          f"{args.dtype}, {args.threads} thread(s)")
    print(f"{'round':>6} {'aha':>8} {'whole':>8} {'MB':>6} {'peer':>8} {'whole':>8} {'MB':>6} {'ratio':>6} {'whole':>6} {'memory':>6}")
    rows = []
    for number in range(args.rounds):
        mine, other = ours(args), theirs(args)
        row = {"aha": mine, "torch": other, "ratio": mine["train_tok_per_s"] / other["train_tok_per_s"],
               "update_ratio": mine["update_tok_per_s"] / other["update_tok_per_s"],
               "memory_ratio": mine["peak_rss_mb"] / other["peak_rss_mb"]}
        rows.append(row)
        print(f"{number:6d} {mine['train_tok_per_s']:8.0f} {mine['update_tok_per_s']:8.0f} {mine['peak_rss_mb']:6.0f} "
              f"{other['train_tok_per_s']:8.0f} {other['update_tok_per_s']:8.0f} {other['peak_rss_mb']:6.0f} "
              f"{row['ratio']:6.2f} {row['update_ratio']:6.2f} {row['memory_ratio']:6.2f}", flush=True)
    peak = rows[-1]["aha"]
    print(f"of {peak['peak_gflops']:.0f} GFLOP/s measured: aha {100 * peak['mfu']:.0f} %; an update needs {peak['gflop']:.0f} GFLOP, so no "
          f"program can do more than {peak['peak_gflops'] * args.batch * args.length / peak['gflop']:.0f} tok/s here")
    median = {key: statistics.median(row[key] for row in rows) for key in ("ratio", "update_ratio", "memory_ratio")}
    print(json.dumps({"model": args.model, "threads": args.threads, "torch": torch.__version__,
                      "transformers": transformers.__version__, "median": median, "rows": rows}))


if __name__ == "__main__":
    main()
