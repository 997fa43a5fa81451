#!/usr/bin/env python3
"""The math reward beside math-verify, on the same pairs in one run, on one core.

    python3 -m venv V && V/bin/pip install math-verify==0.9.0 antlr4-python3-runtime==4.13.2
    V/bin/pip download --no-binary :all: --no-deps math-verify==0.9.0 && tar xf math_verify-0.9.0.tar.gz
    V/bin/python bench/peers/math_verify.py --expectations math_verify-0.9.0 --doc bench/peers/math_verify.md
                 [--bench build/release/bench/rewards/math_bench] [--generated N] [FILE.jsonl ...]

Pairs: tests/rewards/math_cases.txt, math_styles.txt and math_traps.txt, N generated ones (seed 1), math-verify's own tests (--expectations: its unpacked
source) and FILEs of {"kind", "reference", "completion", "expected"?} lines. Prints agreement by kind of answer, every disagreement (and who
agrees with what is expected), and both throughputs on the pairs of the files and the generated ones. --doc writes the tables as a page,
with the judgements of math_verify_judged.tsv beside the disagreements.
"""
import argparse
import collections
import importlib
import json
import pathlib
import random
import subprocess
import sys
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
# This file has the library's name.
sys.path[:] = [folder for folder in sys.path if pathlib.Path(folder).resolve() != pathlib.Path(__file__).resolve().parent]


def read_cases():
    rows, kind = [], None
    for name in ("math_cases.txt", "math_styles.txt", "math_traps.txt"):
        for line in (ROOT / "tests/rewards" / name).read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            for sign, expected in ((" <=> ", 1), (" <!> ", 0)):
                if sign in line:
                    reference, answer = line.split(sign)
                    rows.append({"kind": kind, "reference": reference, "answer": answer, "expected": expected})
                    break
            else:
                kind = {"math_styles.txt": "style ", "math_traps.txt": "trap "}.get(name, "") + line[1:-1]
    return rows


def read_expectations(folder):
    """math-verify's own parametrised tests: gold, prediction, what they expect, and the precision that they ask for."""
    package = types.ModuleType("tests")
    package.__path__ = [str(pathlib.Path(folder) / "tests")]
    sys.modules["tests"] = package
    rows = []
    for name in ("test_all", "test_numina_cases", "test_open_thoughts", "test_boxed", "test_strict", "test_yujianll"):
        for test, function in vars(importlib.import_module("tests." + name)).items():
            for mark in getattr(function, "pytestmark", []) if test.startswith("test_") else []:
                if mark.name != "parametrize":
                    continue
                names = [word.strip() for word in mark.args[0].split(",")]
                for values in mark.args[1]:
                    case = dict(zip(names, values if isinstance(values, tuple) else values.values))
                    if "gold" not in case or case.get("strict") is False:
                        continue
                    rows.append({"kind": f"math-verify {name[5:]}.{test[5:]}", "reference": case["gold"], "completion": case["pred"],
                                 "answer": case["pred"], "gold": case["gold"], "target": case["pred"], "tested": True,
                                 "expected": int(case.get("expected", case.get("result"))), "precision": case.get("precision") or 6})
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


def ours(bench, rows, decimals=False):
    lines = "\n".join(json.dumps({"reference": r["reference"], "completion": r["completion"],
                                  **({"decimals": r["precision"]} if decimals and "precision" in r else {})}) for r in rows)
    run = subprocess.run([bench, "--rounds", "3"], input=lines, capture_output=True, text=True, check=True)
    out = [json.loads(line) for line in run.stdout.splitlines()]
    return [o.get("score") for o in out], sum(o["us"] for o in out) / 1e6, run.stderr.strip()


def theirs(rows):
    import logging
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    scores = []
    times = []
    for row in rows:
        if row.get("tested"):  # its tests say what it answers
            scores.append(float(row["expected"]))
            continue
        start = time.perf_counter()
        try:
            scores.append(float(verify(parse(row["gold"]), parse(row["target"]))))
        except Exception:  # its own failures are its answer here
            scores.append(None)
        times.append(time.perf_counter() - start)
    times.sort()
    return scores, sum(times), times


def cell(text, most=70):
    text = " ".join(str(text).split())
    text = text if len(text) <= most else "..." + text[-most:]
    return "`" + text.replace("|", "\u2223").replace("`", "'") + "`"


def tabulate(rows, mine, other):
    kinds = collections.OrderedDict()
    for row, a, b in zip(rows, mine, other):
        tally = kinds.setdefault(row["kind"], collections.Counter())
        tally["n"] += 1
        tally["agree"] += a == b
        if "expected" in row:
            tally["ours"] += a == row["expected"]
            tally["theirs"] += b == row["expected"]
    total = collections.Counter()
    for tally in kinds.values():
        total.update(tally)
    kinds["all"] = total
    return kinds


def judgement(judged, row):
    return judged.get((" ".join(row["reference"].split())[-60:], " ".join(row["answer"].split())[-60:]), "")


def write_doc(path, rows, mine, other, with_decimals, speed):
    judged = {}
    for line in (pathlib.Path(__file__).parent / "math_verify_judged.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            reference, answer, said = line.split("\t")
            judged[reference, answer] = said
    lines = ["# The math reward beside math-verify 0.9.0", "", "Made by `bench/peers/math_verify.py --doc`; do not edit by hand.", "", speed, ""]
    groups = (("math-verify's own tests", lambda r: r.get("tested")),
              ("The styles of data sets (tests/rewards/math_styles.txt)", lambda r: r["kind"].startswith("style ")),
              ("Kinds of answers (tests/rewards/math_cases.txt)",
               lambda r: not r.get("tested") and not r["kind"].startswith(("style ", "trap ", "generated_"))),
              ("Near misses (tests/rewards/math_traps.txt)", lambda r: r["kind"].startswith("trap ")),
              ("Generated pairs whose truth is known", lambda r: r["kind"].startswith("generated_")))
    for title, belongs in groups:
        chosen = [(r, a, b) for r, a, b in zip(rows, mine, other) if belongs(r)]
        if not chosen:
            continue
        own = title.startswith("math-verify")
        lines += [f"## {title}", "", "| kind | pairs | agree |" + ("" if own else " ours right | math-verify right |"),
                  "|---|---|---|" + ("" if own else "---|---|")]
        for kind, tally in tabulate(*zip(*chosen)).items():
            name = kind.removeprefix("math-verify ").removeprefix("style ").removeprefix("trap ").removeprefix("generated_")
            lines.append(f"| {name} | {tally['n']} | {tally['agree']} |" + ("" if own else f" {tally['ours']} | {tally['theirs']} |"))
        if own:
            same = sum(a == b for r, a, b in zip(rows, with_decimals, other) if belongs(r))
            right = [a == b or not judgement(judged, r).startswith("ours is right") for r, a, b in chosen]
            agree = sum(a == b for _, a, b in chosen)
            lines += ["", f"- Agreement with what the tests expect, the reward's defaults: {agree} of {len(chosen)}.",
                      f"- With the reward's key `decimals` at the precision that each test asks for: {same} of {len(chosen)}.",
                      f"- Over the expectations that are right ({len(chosen) - sum(right)} that the table below judges \"ours is right\" set aside): "
                      f"{agree} of {sum(right)}; with the tests' own `decimals` {same} of {sum(right)}."]
        wrong = [(r, a, b) for r, a, b in chosen if a != b]
        if title.startswith("Generated"):
            wrong = [w for w in wrong if w[1] != w[0]["expected"]]
            lines += ["", "Where they differ, ours is right every time." if not wrong else "Ours is wrong on:"]
        if wrong:
            lines += ["", "| kind | reference | answer | ours | math-verify | judgement |", "|---|---|---|---|---|---|"]
        for r, a, b in wrong:
            why = judgement(judged, r)
            if not why and not own:
                why = "ours is right" if a == r["expected"] else "MATH-VERIFY IS RIGHT"
            lines.append(f"| {r['kind'].removeprefix('math-verify ').removeprefix('style ').removeprefix('trap ')} | {cell(r['reference'])} | {cell(r['answer'])} | "
                         f"{'failure' if a is None else int(a)} | {'error' if b is None else int(b)} | {why} |")
        lines.append("")
    pathlib.Path(path).write_text("\n".join(lines))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bench", default=str(ROOT / "build/release/bench/rewards/math_bench"))
    args.add_argument("--generated", type=int, default=1000)
    args.add_argument("--expectations", help="the unpacked source of math-verify")
    args.add_argument("--doc", help="write the tables here, in Markdown")
    args.add_argument("files", nargs="*")
    options = args.parse_args()
    rows = read_cases() + generate(options.generated)
    for row in rows:
        # Both see the answer in a box; math-verify wants mathematics between dollars.
        row["completion"] = rf"\boxed{{{row['answer']}}}"
        between = row["reference"].count("$") >= 2 and r"\$" not in row["reference"]
        row["gold"] = row["reference"] if between else f"${row['reference']}$"
        row["target"] = rf"$\boxed{{{row['answer']}}}$"
    both = len(rows)
    for name in options.files:
        for line in pathlib.Path(name).read_text().splitlines():
            row = json.loads(line)
            row.update(gold=row["reference"], target=row["completion"], answer=row["completion"])
            rows.append(row)
    if options.expectations:
        rows += read_expectations(options.expectations)
    mine, _, note = ours(options.bench, rows)
    with_decimals = ours(options.bench, rows, True)[0]
    other, _, _ = theirs(rows)
    _, seconds, _ = ours(options.bench, rows[:both])
    _, other_seconds, times = theirs(rows[:both])

    print(f"{'kind':<50}{'n':>6}{'agree':>7}{'ours as expected':>18}{'math-verify':>13}")
    for kind, tally in tabulate(rows, mine, other).items():
        print(f"{kind:<50}{tally['n']:>6}{tally['agree']:>7}{tally['ours']:>18}{tally['theirs']:>13}")
    print("\ndisagreements: kind | reference | answer | expected | ours | math-verify")
    for row, a, b in zip(rows, mine, other):
        if a != b:
            print(f"{row['kind']} | {row['reference'][-90:]!r} | {row['answer'][-90:]!r} | {row.get('expected')} | {a} | {b}")
    print(f"\nours: {note}")
    speed = (f"On one core, {both} answers of the kinds, styles, near misses and generated pairs below: ours {both / seconds:,.0f} a second, math-verify "
             f"{both / other_seconds:,.0f} a second (p99 {times[int(0.99 * (len(times) - 1))] * 1e3:.0f} ms, slowest "
             f"{times[-1] * 1e3:,.0f} ms): {other_seconds / seconds:.0f} times.")
    print(speed)
    if options.doc:
        write_doc(options.doc, rows, mine, other, with_decimals, speed)


if __name__ == "__main__":
    main()
