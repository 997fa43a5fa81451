#!/usr/bin/env python3
"""The math reward beside math-verify, on the same pairs in one run, on one core.

    python3 -m venv V && V/bin/pip install math-verify==0.9.0 antlr4-python3-runtime==4.13.2
    V/bin/python bench/peers/math_verify.py [--bench build/release/bench/rewards/math_bench] [--generated N] [FILE.jsonl ...]

Pairs: tests/rewards/math_cases.txt, N generated ones (seed 1), and FILEs of {"kind", "reference", "completion", "expected"?} lines. Prints
agreement by kind of answer, every disagreement (and who agrees with what the file expects), and both throughputs.
"""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_cases():
    rows, kind = [], None
    for line in (ROOT / "tests/rewards/math_cases.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        for sign, expected in ((" <=> ", 1), (" <!> ", 0)):
            if sign in line:
                reference, answer = line.split(sign)
                rows.append({"kind": kind, "reference": reference, "answer": answer, "expected": expected})
                break
        else:
            kind = line[1:-1]
    return rows


def generate(count, seed=1):
    """Pairs whose truth is known by how they are made."""
    draw = random.Random(seed)
    rows = []

    def add(kind, reference, answer, expected):
        rows.append({"kind": "generated_" + kind, "reference": reference, "answer": answer, "expected": int(expected)})

    def term(coefficient, power):
        return f"{coefficient}" if power == 0 else f"{coefficient}x" if power == 1 else f"{coefficient}x^{power}"

    while len(rows) < count:
        a, b, c, d = (draw.randint(1, 12) for _ in range(4))
        same = draw.random() < 0.5
        off = 0 if same else draw.choice([-2, -1, 1, 2])
        add("integer", str(a * b * 37), str(a * b * 37 + off), same)
        add("fraction", rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{a * c + (off * c if off else 0)}}}{{{b * c}}}", same)
        add("mixed", rf"{a}\frac{{{1}}}{{{b + 1}}}", rf"\frac{{{a * (b + 1) + 1 + off}}}{{{b + 1}}}", same)
        add("radical", rf"\sqrt{{{a * a * (b + off if b + off > 0 else b + 3)}}}", rf"{a}\sqrt{{{b}}}", same)
        add("radical_sum", rf"\frac{{1}}{{\sqrt{{{a + 1}}}-\sqrt{{{a}}}}}", rf"\sqrt{{{a + 1 + abs(off)}}}+\sqrt{{{a}}}", same)
        add("polynomial", f"(x+{a})(x-{b})", f"x^2+({a - b + off})x-{a * b}", same)
        add("rational", rf"\frac{{x^2-{a * a}}}{{x-{a}}}", f"x+{a + off}" if a + off >= 0 else f"x-{-(a + off)}", same)
        add("set", rf"\{{{a}, {a + b}, {a + b + c}\}}", rf"\{{{a + b + c + off}, {a}, {a + b}\}}", same)
        add("tuple", f"({a}, {b}, {c})", f"({a}, {b}, {c + off})", same)
        add("interval", rf"({a}, {a + b + 3}]", rf"({a}, {a + b + 3 + off}]", same)
        add("union", rf"(-\infty, {a}) \cup ({a + b}, \infty)", rf"({a + b + abs(off)}, \infty) \cup (-\infty, {a})", same)
        add("complex", f"({a}+{b}i)({c}-{d}i)", f"{a * c + b * d + off}+({b * c - a * d})i", same)
        add("power", f"{a + 1}^{{{b}}}", str((a + 1) ** b + off), same)
        add("logarithm", rf"\ln {a * b + 1}", rf"\frac{{{c}\ln {a * b + 1 + abs(off)}}}{{{c}}}", same)
        add("trigonometry", rf"\sin({a}x)\cos({a}x)", rf"\frac{{\sin({2 * a + abs(off)}x)}}{{2}}", same)
        add("pi", rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a + off}}}{{{b}}}\pi", same)
        add("matrix", rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
            rf"\begin{{pmatrix}} {a} & {b} \\ {c + off} & {d} \end{{pmatrix}}", same)
        add("equation", f"y = {a}x + {b}", f"{a}x - y = {-b + off}", same)
        add("inequality", f"x > {a}", f"{b}x > {a * b + off}", same)
        add("binomial", rf"\binom{{{a + b}}}{{{a}}}", rf"\binom{{{a + b}}}{{{b}}}" if same else rf"\binom{{{a + b}}}{{{b}}} + {abs(off)}", same)
        add("named", f"x = {a}", f"{a + off}", same)
        add("decimal", f"{a}.{b}5", f"{a}.{b}5" if same else f"{a + 1}.{b}5", same)
    return rows[:count]


def ours(bench, rows):
    lines = "\n".join(json.dumps({"reference": r["reference"], "completion": r["completion"]}) for r in rows)
    run = subprocess.run([bench], input=lines, capture_output=True, text=True, check=True)
    out = [json.loads(line) for line in run.stdout.splitlines()]
    return [o.get("score") for o in out], sum(o["us"] for o in out) / 1e6, run.stderr.strip()


def theirs(rows):
    import logging
    import sys

    # This file has the library's name.
    sys.path[:] = [folder for folder in sys.path if pathlib.Path(folder).resolve() != pathlib.Path(__file__).resolve().parent]
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    scores = []
    times = []
    for row in rows:
        start = time.perf_counter()
        try:
            scores.append(float(verify(parse(row["gold"]), parse(row["target"]))))
        except Exception:  # its own failures are its answer here
            scores.append(None)
        times.append(time.perf_counter() - start)
    times.sort()
    return scores, sum(times), times


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bench", default=str(ROOT / "build/release/bench/rewards/math_bench"))
    args.add_argument("--generated", type=int, default=1000)
    args.add_argument("files", nargs="*")
    options = args.parse_args()
    rows = read_cases() + generate(options.generated)
    for row in rows:
        # Both see the answer in a box; math-verify wants mathematics between dollars.
        row["completion"] = rf"\boxed{{{row['answer']}}}"
        row["gold"] = f"${row['reference']}$"
        row["target"] = rf"$\boxed{{{row['answer']}}}$"
    for name in options.files:
        for line in pathlib.Path(name).read_text().splitlines():
            row = json.loads(line)
            row.update(gold=row["reference"], target=row["completion"], answer=row["completion"])
            rows.append(row)
    mine, seconds, note = ours(options.bench, rows)
    other, other_seconds, times = theirs(rows)

    kinds = collections.OrderedDict()
    for row, a, b in zip(rows, mine, other):
        tally = kinds.setdefault(row["kind"], collections.Counter())
        tally["n"] += 1
        tally["agree"] += a == b
        if "expected" in row:
            tally["ours"] += a == row["expected"]
            tally["theirs"] += b == row["expected"]
    print(f"{'kind':<34}{'n':>6}{'agree':>7}{'ours as expected':>18}{'math-verify':>13}")
    total = collections.Counter()
    for kind, tally in kinds.items():
        total.update(tally)
        print(f"{kind:<34}{tally['n']:>6}{tally['agree']:>7}{tally['ours']:>18}{tally['theirs']:>13}")
    print(f"{'all':<34}{total['n']:>6}{total['agree']:>7}{total['ours']:>18}{total['theirs']:>13}")
    print("\ndisagreements: kind | reference | answer | expected | ours | math-verify")
    for row, a, b in zip(rows, mine, other):
        if a != b:
            print(f"{row['kind']} | {row['reference'][:90]!r} | {row['answer'][-90:]!r} | {row.get('expected')} | {a} | {b}")
    print(f"\nours: {note}")
    print(f"ours: {len(rows) / seconds:.0f} a second; math-verify: {len(rows) / other_seconds:.0f} a second, "
          f"p99 {times[int(0.99 * (len(times) - 1))] * 1e3:.1f} ms, max {times[-1] * 1e3:.0f} ms; "
          f"ratio {other_seconds / seconds:.0f}")


if __name__ == "__main__":
    main()
