#!/usr/bin/env python3
"""Process supervision through the whole program: an rl stage of the embedded base by the reward `steps`, whose token
advantages are worked out again here from the steps that `aha why` tells, by DeepSeekMath (arXiv:2402.03300) 4.1.3.

    process_rewards.py AHA SCRATCH

Ends with 1 when an advantage differs by more than 1e-6, or when there was nothing to compare.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

RECIPE = """name: "process" seed: 5 threads: 1
stage { name: "zero" rl {
  prompts { task { family: "chain" language: "en" } } advantage: "process" kl: 0
  reward { name: "steps" config: "wrong: -1" } reward { name: "math" weight: 0.5 }
  steps: 2 prompts_per_step: 3 group_size: 4 max_new_tokens: 96 commit_every: 1 optimizer { learning_rate: 1e-4 }
} }
"""
WEIGHTS = [1.0, 0.5]
EPSILON = 1e-6


def why(aha, run, address):
    return json.loads(subprocess.run([aha, "why", run, address, "--json"], check=True, capture_output=True, text=True).stdout)


def rewards_of(sample):
    """{token end: reward} of a sample."""
    ends = {}
    for weight, reward in zip(WEIGHTS, sample["rewards"]):
        steps = reward.get("steps") or [{"token_end": len(sample["tokens"]), "score": reward["score"]}]
        for step in steps:
            ends[step["token_end"]] = ends.get(step["token_end"], 0.0) + weight * step["score"]
    return ends


def main():
    aha, scratch = sys.argv[1:]
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    recipe, run = os.path.join(scratch, "process.textproto"), os.path.join(scratch, "run")
    with open(recipe, "w", encoding="utf-8") as f:
        f.write(RECIPE)
    subprocess.run([aha, "-q", "run", recipe, "--out", run], check=True, stdout=subprocess.DEVNULL)
    compared, steps, worst = 0, 0, 0.0
    for step in (1, 2):
        for group in range(3):
            samples = [why(aha, run, f"zero/{step}/{group}/{s}") for s in range(4)]
            earned = [rewards_of(s) for s in samples]
            every = [r for ends in earned for r in ends.values()]
            equal = all(r == every[0] for r in every)
            mean = statistics.fmean(every)
            std = 0.0 if equal else statistics.stdev(every)
            for sample, ends in zip(samples, earned):
                steps += len(sample["rewards"][0].get("steps", []))
                for token in sample["tokens"]:
                    want = 0.0 if equal else sum((r - mean) / (std + EPSILON) for end, r in ends.items() if end > token["position"])
                    worst = max(worst, abs(token["advantage"] - want))
                    compared += 1
    print(f"{compared} tokens, {steps} steps; advantages are within {worst:.1e} of the formula")
    return 0 if compared > 100 and steps > 10 and worst < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
