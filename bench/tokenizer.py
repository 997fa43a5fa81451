"""Our tokenizer beside Hugging Face `tokenizers`, one thread each, in one run: speed and equal ids.

    ninja -C build/release tokenizer_speed
    python3 bench/tokenizer_text.py /tmp/mixed.txt
    python3 bench/tokenizer.py build/release/bench/tokenizer_speed /tmp/mixed.txt DIR_OR_TOKENIZER_JSON...

Needs the PyPI package tokenizers (0.23). Prints a table and, last, one line of JSON. Exits 1 when any
id, or the decoded text, differs.
"""

import os

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1")

import argparse
import array
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import tokenizers
from tokenizers import Tokenizer


def timed(repeats, work):
    seconds, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def measure(program, text_file, file, repeats):
    text = pathlib.Path(text_file).read_bytes().decode("utf-8")
    megabytes = os.path.getsize(text_file) / 1e6
    with tempfile.NamedTemporaryFile() as ids_file:
        line = subprocess.run([program, file, text_file, ids_file.name, str(max(5, repeats))], check=True, capture_output=True)
        ours = json.loads(line.stdout)
        ids = array.array("i")
        ids.frombytes(pathlib.Path(ids_file.name).read_bytes())
    load, theirs = timed(1, lambda: Tokenizer.from_file(file))
    encode, encoding = timed(repeats, lambda: theirs.encode(text, add_special_tokens=False))
    expected = encoding.ids
    del encoding
    decode, back = timed(repeats, lambda: theirs.decode(expected, skip_special_tokens=False))
    differing = sum(a != b for a, b in zip(ids, expected)) + abs(len(ids) - len(expected))
    return {
        "tokenizer": pathlib.Path(file).parent.name,
        "megabytes": round(megabytes, 2),
        "ids": len(expected),
        "differing": differing,
        "same_text_back": (back == text) == ours["round_trip"],
        "encode_mb_per_s": round(megabytes / ours["encode_s"], 1),
        "peer_encode_mb_per_s": round(megabytes / encode, 2),
        "encode_ratio": round(encode / ours["encode_s"], 1),
        "decode_mb_per_s": round(megabytes / ours["decode_s"], 1),
        "peer_decode_mb_per_s": round(megabytes / decode, 1),
        "decode_ratio": round(decode / ours["decode_s"], 1),
        "load_ms": round(ours["load_s"] * 1e3, 1),
        "peer_load_ms": round(load * 1e3, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("text")
    parser.add_argument("tokenizer", nargs="+")
    parser.add_argument("--repeat", type=int, default=1, help="runs of the peer; ours makes at least five")
    args = parser.parse_args()
    rows = []
    for name in args.tokenizer:
        file = os.path.join(name, "tokenizer.json") if os.path.isdir(name) else name
        row = measure(args.program, args.text, file, args.repeat)
        rows.append(row)
        print(
            "{tokenizer:<12} {megabytes:.2f} MB, {ids} ids, {differing} differ, same text back {same_text_back}; encode {encode_mb_per_s} against "
            "{peer_encode_mb_per_s} MB/s ({encode_ratio}x), decode {decode_mb_per_s} against {peer_decode_mb_per_s} MB/s "
            "({decode_ratio}x), load {load_ms} against {peer_load_ms} ms".format(**row),
            flush=True,
        )
    print(json.dumps({"tokenizers": tokenizers.__version__, "rows": rows}))
    raise SystemExit(any(row["differing"] or not row["same_text_back"] for row in rows))


if __name__ == "__main__":
    main()
