"""A whole GRPO step beside TRL's, in one run on one machine, round by round: one of ours, one of theirs.

usage: grpo.py AHA MODEL_DIR [--prompts 8] [--samples 8] [--prompt 64] [--new 128] [--threads 1] [--rounds 2] [--micro 8]
AHA is the program; MODEL_DIR a Hugging Face folder with its tokenizer. Needs trl 1.16, transformers 5.23 and torch (CPU) in the
Python that runs it; pin the whole to one core (taskset -c 0) for one thread.

TRL as its GRPOTrainer comes: weights in bf16 under autocast, gradient checkpointing, AdamW, beta 0, generate() of transformers,
`micro` samples in one forward pass. Both: random sampling at temperature 1, every completion of full length, a reward that is the
share of distinct tokens in it. Prints seconds and peak memory (MB) of each and ratios, then one line of JSON.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WORDS = ("the river runs past old stone houses where people count boats and trade fish for bread while children solve small sums with "
         "chalk on slate walls and a teacher asks how many apples remain when seven of twenty are sold at noon before the rain").split()


def ours(args):
    command = [args.aha, "bench", args.model, "--grpo", "--prompts", str(args.prompts), "--samples", str(args.samples)]
    command += ["--prompt", str(args.prompt), "--new", str(args.new), "--threads", str(args.threads), "--steps", str(args.steps)]
    command += ["--micro-batch", str(args.micro * (args.prompt + args.new)), "--moments", args.moments, "--json"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def theirs(args):
    """One process of its own, so that its peak memory is its own: this file again with --child."""
    command = [sys.executable, __file__] + sys.argv[1:] + ["--child"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def child(args):
    import torch
    torch.set_num_threads(args.threads)
    import datasets
    import transformers
    import trl

    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)

    def prompt(number):
        text, word = f"Problem {number}:", number
        while len(tokenizer(text)["input_ids"]) < args.prompt:
            text += " " + WORDS[word % len(WORDS)]
            word += 1
        return {"prompt": text}

    def reward(completion_ids, **_):
        return [len(set(ids)) / len(ids) for ids in completion_ids]

    seconds, steps = {}, []
    # One thread measures its own time, as aha bench does: other programs' work does not count.
    clock = time.process_time if args.threads == 1 else time.perf_counter

    def timed(name):
        function = getattr(trl.GRPOTrainer, name)

        def run(*arguments, **named):
            start = clock()
            try:
                return function(*arguments, **named)
            finally:
                seconds[name] = seconds.get(name, 0) + clock() - start

        return run

    class Trainer(trl.GRPOTrainer):
        pass

    for name in ("_generate_single_turn", "_calculate_rewards"):
        setattr(Trainer, name, timed(name))

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_, **__):
            seconds.clear()
            self.start = clock()

        def on_step_end(self, *_, **__):
            steps.append(dict(seconds, whole=clock() - self.start))

    config = trl.GRPOConfig(
        output_dir=tempfile.mkdtemp(), use_cpu=True, per_device_train_batch_size=args.micro,
        gradient_accumulation_steps=args.prompts * args.samples // args.micro, num_generations=args.samples,
        max_completion_length=args.new, temperature=1.0, max_steps=args.steps + 1, bf16=True, report_to="none", save_strategy="no",
        learning_rate=1e-6, generation_kwargs={"min_new_tokens": args.new}, model_init_kwargs={"dtype": "bfloat16"}, disable_tqdm=True,
        dataloader_pin_memory=False, seed=0)
    data = datasets.Dataset.from_list([prompt(i) for i in range(args.prompts * (args.steps + 1))])
    Trainer(model=args.model, reward_funcs=reward, args=config, train_dataset=data, processing_class=tokenizer,
            callbacks=[Clock()]).train()
    whole = [step["whole"] for step in steps[1:]]
    rollout = [step["_generate_single_turn"] for step in steps[1:]]
    rewards = [step["_calculate_rewards"] for step in steps[1:]]
    learn = [w - g - r for w, g, r in zip(whole, rollout, rewards)]
    print(json.dumps({"grpo_step_s": statistics.median(whole), "rollout_s": statistics.median(rollout),
                      "reward_s": statistics.median(rewards), "learn_s": statistics.median(learn), "trl": trl.__version__,
                      "transformers": transformers.__version__, "torch": torch.__version__,
                      "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("aha")
    parser.add_argument("model")
    for name, default in (("prompts", 8), ("samples", 8), ("prompt", 64), ("new", 128), ("threads", 1), ("rounds", 2), ("steps", 1), ("micro", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--moments", choices=["fp32", "bf16"], default="bf16", help="of our AdamW; theirs are of the weights' type, bf16")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    print(f"{args.model}: {args.prompts} prompts x {args.samples} samples, {args.prompt} + {args.new} tokens, {args.threads} thread(s)")
    print(f"{'round':>6} {'who':>5} {'step s':>8} {'rollout':>8} {'learn':>8} {'MB':>6}")
    rows = []
    for number in range(args.rounds):
        row = {"aha": ours(args), "trl": theirs(args)}
        for who, of in list(row.items()):
            print(f"{number:6d} {who:>5} {of['grpo_step_s']:8.2f} {of['rollout_s']:8.2f} {of['learn_s']:8.2f} {of['peak_rss_mb']:6.0f}", flush=True)
        row["ratio"] = row["trl"]["grpo_step_s"] / row["aha"]["grpo_step_s"]
        row["rollout_ratio"] = row["trl"]["rollout_s"] / row["aha"]["rollout_s"]
        row["learn_ratio"] = row["trl"]["learn_s"] / row["aha"]["learn_s"]
        row["memory_ratio"] = row["aha"]["peak_rss_mb"] / row["trl"]["peak_rss_mb"]
        rows.append(row)
    keys = ("ratio", "rollout_ratio", "learn_ratio", "memory_ratio")
    median = {key: statistics.median(row[key] for row in rows) for key in keys}
    versions = {key: rows[-1]["trl"][key] for key in ("trl", "transformers", "torch")}
    print(f"trl {versions['trl']}, transformers {versions['transformers']}, torch {versions['torch']}: a step {median['ratio']:.2f} times as fast "
          f"(rollout {median['rollout_ratio']:.2f}, learn {median['learn_ratio']:.2f}) with {median['memory_ratio']:.2f} of the memory")
    print(json.dumps({"model": args.model, "threads": args.threads, "median": median, "versions": versions, "rows": rows}))


if __name__ == "__main__":
    main()
