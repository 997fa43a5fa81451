"""A peer's side of decode.py: one process that answers lines of JSON, so that all engines stay loaded and take turns.

In: {"prompts": [[id, ...], ...], "samples": N, "new": M}: N samples of M tokens of each prompt, at temperature 1 over the whole
distribution; nothing ends early. Out: {"seconds": S}. The first line out tells the versions.
"""
import json
import os
import sys
import time


def serve(versions, generate):
    """generate(prompts, samples, new) returns how many tokens it made."""
    out = os.fdopen(STDOUT, "w")
    print(json.dumps({"versions": versions}), file=out, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        made = generate(request["prompts"], request["samples"], request["new"])
        seconds = time.perf_counter() - start
        assert made == len(request["prompts"]) * request["samples"] * request["new"], made
        print(json.dumps({"seconds": seconds}), file=out, flush=True)


# Libraries print to standard output: from here on that is standard error.
STDOUT = os.dup(1)
os.dup2(2, 1)
