#!/usr/bin/env python3
"""Decoding beside other engines, in one run on one machine: each shape by each engine in turn, on the same cores.

    decode.py AHA MODEL_DIR [--transformers PYTHON] [--vllm PYTHON] [--llamacpp PYTHON --gguf FILE]
              [--threads 1] [--shapes 1x64,16x64,...] [--most-seconds 150]

AHA is the program; MODEL_DIR a Hugging Face folder in bf16; each PYTHON one that has that engine (README.md says how). An engine
that is not given, does not start or fails is said to be missing. A shape is SAMPLESxPROMPT/NEW or SAMPLESxPROMPTgGROUP/NEW: groups
of GROUP samples share a prompt. Peers get the same random prompts; Aha draws its own of the same length. Rates are new tokens over
all seconds, prompts included, models loaded and warm. Prints a Markdown table, ratios in brackets (Aha over peer), then one line of JSON.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SHAPES = "1x64/128,16x64/128,64x64/64,256x64/32,16x512g16/64,64x512g16/64,256x512g16/32"


class Shape:
    def __init__(self, text):
        m = re.fullmatch(r"(\d+)x(\d+)(?:g(\d+))?/(\d+)", text)
        if not m:
            sys.exit(f"shape {text}: not SAMPLESxPROMPT[gGROUP]/NEW")
        self.samples, self.prompt, self.group, self.new = (int(x or 1) for x in m.groups())
        self.prompts = self.samples // self.group

    def __str__(self):
        shared = f"{self.prompts} x {self.group}" if self.group > 1 else f"{self.samples}"
        return f"{shared} of {self.prompt} + {self.new}"

    def tokens(self):
        return self.samples * self.new


class Aha:
    name = "aha"

    def __init__(self, program, model, threads):
        self.program, self.model, self.threads = program, model, threads
        self.versions = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip().replace("\n", ", ")
        self.missing = None

    def run(self, shape, seed):
        command = [self.program, "bench", self.model, "--batch", shape.samples, "--prompt", shape.prompt, "--new", shape.new,
                   "--samples", shape.group, "--threads", self.threads, "--json"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        f = json.loads(done.stdout.strip().splitlines()[-1])
        decoded = shape.samples * (shape.new - 1)
        seconds = shape.prompts * shape.prompt / f["prefill_tok_per_s"] + decoded / f["decode_tok_per_s"]
        return {"seconds": seconds, "differing_bits": f["differing_bits"], "decode_tok_per_s": f["decode_tok_per_s"]}


class Peer:
    """A process that answers lines of JSON (peer_loop.py)."""

    def __init__(self, name, python, model, args):
        self.name, self.model, self.missing, self.versions = name, model, None, None
        if not python or not model:
            self.missing = "not given"
            return
        self.errors = tempfile.TemporaryFile("w+")
        environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads), TOKENIZERS_PARALLELISM="false")
        self.process = subprocess.Popen([python, str(HERE / f"peer_{name}.py"), model, str(args.threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment)
        self.versions = (self.answer() or {}).get("versions")

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        lines = [x.strip() for x in self.errors.read().splitlines() if x.strip()]
        self.missing = f"ended with {self.process.returncode}: " + (lines[-1] if lines else "no message")
        return None

    def run(self, shape, seed):
        draw = random.Random(seed)
        prompts = [[draw.randrange(10, 2000) for _ in range(shape.prompt)] for _ in range(shape.prompts)]
        try:
            self.process.stdin.write(json.dumps({"prompts": prompts, "samples": shape.group, "new": shape.new}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.answer()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("aha")
    parser.add_argument("model")
    for name in ("transformers", "vllm", "llamacpp"):
        parser.add_argument(f"--{name}", metavar="PYTHON")
    parser.add_argument("--gguf", help="the same model for llama.cpp")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--most-seconds", type=float, default=150, help="an engine that is expected to need more is left out")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:args.threads]
    os.sched_setaffinity(0, cores)  # and so all engines
    engines = [Aha(args.aha, args.model, args.threads), Peer("transformers", args.transformers, args.model, args),
               Peer("vllm", args.vllm, args.model, args), Peer("llamacpp", args.llamacpp, args.gguf, args)]
    for e in engines:
        print(f"{e.name}: {e.versions or 'missing, ' + e.missing}")
    running = [e for e in engines if not e.missing]
    print(f"cores {cores}, {args.threads} thread(s); new tokens per second (aha / peer)\n")
    print("| samples of prompt + new | " + " | ".join(e.name for e in running) + " | differing bits |")
    print("|---|" + "---:|" * (len(running) + 1), flush=True)
    rows, rate = [], {}
    for number, shape in enumerate(map(Shape, args.shapes.split(","))):
        row, cells = {"shape": str(shape)}, []
        for e in running:
            # As slow as in its slowest shape so far, prompts of its own counted as a tenth of a token each.
            work = shape.tokens() + 0.1 * shape.samples * shape.prompt
            if not e.missing and rate.get(e.name) and work / rate[e.name] > args.most_seconds:
                cells.append("left out")
                continue
            got = None if e.missing else e.run(shape, number)
            if got is None:
                cells.append("failed")
                continue
            row[e.name] = got
            got["tok_per_s"] = shape.tokens() / got["seconds"]
            rate[e.name] = work / got["seconds"]
            ratio = f" ({row['aha']['tok_per_s'] / got['tok_per_s']:.2f})" if e.name != "aha" else ""
            cells.append(f"{got['tok_per_s']:.0f}{ratio}")
        rows.append(row)
        print(f"| {shape} | " + " | ".join(cells) + f" | {row['aha']['differing_bits']} |", flush=True)
    for e in running:
        if e.missing:
            print(f"{e.name}: {e.missing}")
    print(json.dumps({"threads": args.threads, "versions": {e.name: e.versions for e in engines}, "rows": rows}))


main()
