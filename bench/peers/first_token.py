"""Process start to first token, beside transformers: the program is started, prints one greedy token and ends.

usage: first_token.py AHA MODEL_DIR [--runs 9] [--threads 1] [--prompt TEXT]
AHA is the program; MODEL_DIR a Hugging Face folder. Needs transformers 5.23 and torch (CPU) in the Python that runs it.
The two alternate; each is started once before, so that the model's files and the programs are in the page cache. Times are wall
seconds from fork to exit, transformers' with its imports, which is what somebody at a prompt waits for. `imports` is the part of
transformers' time that `import torch` and its model classes take alone. Prints medians with the fastest and slowest run, peak
memory, the ratio of medians, then one line of JSON. Ends with 1 when the two do not print the same text.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

IMPORTS = "import sys, torch\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"

THEIRS = IMPORTS + """
import transformers
transformers.logging.set_verbosity_error()
folder, prompt, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
with torch.inference_mode():
    out = model.generate(**ids, max_new_tokens=1, do_sample=False)
print(tokenizer.decode(out[0, ids["input_ids"].shape[1]:]))
"""

# Import alone leaves the model's own module for later; the class is what loads it.
IMPORTS_ALONE = IMPORTS + "import transformers.models.llama.modeling_llama\n"


def run(command):
    """Wall seconds, peak memory in MiB, what was printed."""
    environment = dict(os.environ, HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    out, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}: {errors.decode(errors='replace')[-400:]}")
    return seconds, usage.ru_maxrss / 1024, out.decode().rstrip("\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("aha")
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", default="The capital of France is")
    args = parser.parse_args()
    commands = {
        "aha": [args.aha, "generate", args.model, "--prompt", args.prompt, "--max-new", "1", "--temperature", "0",
                "--threads", str(args.threads)],
        "transformers": [sys.executable, "-c", THEIRS, args.model, args.prompt, str(args.threads)],
        "imports": [sys.executable, "-c", IMPORTS_ALONE],
    }
    texts = {name: run(command)[2] for name, command in commands.items()}
    seconds = {name: [] for name in commands}
    memory = {name: 0.0 for name in commands}
    for _ in range(args.runs):
        for name, command in commands.items():
            wall, peak, _ = run(command)
            seconds[name].append(wall)
            memory[name] = max(memory[name], peak)

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{'':14} {'median':>8} {'fastest':>8} {'slowest':>8} {'memory':>10}   first token of {args.prompt!r}")
    for name, times in seconds.items():
        print(f"{name:14} {medians[name]:7.3f}s {min(times):7.3f}s {max(times):7.3f}s {memory[name]:6.0f} MiB   {texts[name]!r}")
    ratio = medians["transformers"] / medians["aha"]
    print(f"aha is {ratio:.1f} times sooner than transformers ({args.runs} runs each)")
    print(json.dumps({"seconds": medians, "ratio": ratio, "peak_mib": memory, "texts": texts, "runs": args.runs}))
    return 0 if texts["aha"] == texts["transformers"] else 1


if __name__ == "__main__":
    sys.exit(main())
