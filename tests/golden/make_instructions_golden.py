"""Verdicts of IFEval's own checks, for tests/rewards/instructions_golden_test.cc.

    pip install --no-deps lm-eval==0.4.13 langdetect==1.0.9 immutabledict==4.3.1 six==1.17.0
    python3 tests/golden/make_instructions_golden.py > tests/rewards/golden/instructions.jsonl

Seed 5, Python 3.11. lm-eval carries IFEval's checks (lm_eval/tasks/ifeval). They want NLTK's trained data only to count
sentences, which are left out here, and NLTK's word tokenizer for capital words: a stand-in splits the texts below alike.
"""

import importlib.util
import json
import os
import random
import re
import sys
import types

PER_KIND = 12

PIECES = ["*one", "* two\n", "- three\n", "**bold**", "*hi*", "<<title>>", "<< >>", "Section 1", "Section 2\n",
          "SECTION 3", "[name]", "[a b]", "\n", "\n\n", "***", "******", " ", "P.S. more", "P.P.S more", "p. s. ok",
          "My answer is yes.", "My answer is no.", "{\"a\": 1}", "[1, 2]", "```json\n", "```", "\"", "\"", "cat",
          "Cat's", "dog", "the cats", "HELLO", "WORLD", "ABC1", "hello there", ",", ".", "!", "?", "word_1", "Peace!",
          "why so?", "1", "22", "é", "naïve", "Ünder", "x"]


def load_checks():
    class RegexpTokenizer:
        def __init__(self, pattern):
            self.pattern = re.compile(pattern)

        def tokenize(self, text):
            return self.pattern.findall(text)

    nltk = types.ModuleType("nltk")
    nltk.tokenize = types.SimpleNamespace(RegexpTokenizer=RegexpTokenizer)
    nltk.word_tokenize = lambda text: re.findall(r"\w+(?:'\w+)?|[^\w\s]", text)
    sys.modules["nltk"] = nltk
    folder = os.path.join(importlib.util.find_spec("lm_eval").submodule_search_locations[0], "tasks", "ifeval")
    for name in ("lm_eval", "lm_eval.tasks", "lm_eval.tasks.ifeval"):  # without all that their __init__ imports
        sys.modules[name] = types.ModuleType(name)
    for name in ("instructions_util", "instructions", "instructions_registry"):
        module = types.ModuleType(f"lm_eval.tasks.ifeval.{name}")
        with open(os.path.join(folder, f"{name}.py"), encoding="utf-8") as file:
            source = file.read()
        source = source.replace("\ndownload_nltk_resources()\n", "\n").replace("from packaging.version import", "parse_version = None  #")
        sys.modules[module.__name__] = module
        setattr(sys.modules["lm_eval.tasks.ifeval"], name, module)
        exec(compile(source, name, "exec"), module.__dict__)
    return sys.modules["lm_eval.tasks.ifeval.instructions_registry"].INSTRUCTION_DICT


def instructions(draw):
    n = draw.randint(1, 4)
    relation = draw.choice(["less than", "at least"])
    words = ["cat", "dog", "hello"]
    return {
        "keywords:existence": dict(keywords=draw.sample(words, 2)),
        "keywords:frequency": dict(keyword=draw.choice(words), frequency=n, relation=relation),
        "keywords:forbidden_words": dict(forbidden_words=draw.sample(words + ["word"], 2)),
        "keywords:letter_frequency": dict(letter=draw.choice("aeh"), let_frequency=n, let_relation=relation),
        "length_constraints:number_words": dict(num_words=2 * n, relation=relation),
        "length_constraints:number_paragraphs": dict(num_paragraphs=n),
        "length_constraints:nth_paragraph_first_word": dict(num_paragraphs=2, nth_paragraph=draw.randint(1, 2), first_word=draw.choice(words)),
        "detectable_content:number_placeholders": dict(num_placeholders=n),
        "detectable_content:postscript": dict(postscript_marker=draw.choice(["P.S.", "P.P.S"])),
        "detectable_format:number_bullet_lists": dict(num_bullets=n),
        "detectable_format:constrained_response": {},
        "detectable_format:number_highlighted_sections": dict(num_highlights=n),
        "detectable_format:multiple_sections": dict(section_spliter=draw.choice(["Section", "SECTION"]), num_sections=n),
        "detectable_format:json_format": {},
        "detectable_format:title": {},
        "combination:two_responses": {},
        "combination:repeat_prompt": dict(prompt_to_repeat="why so?"),
        "startend:end_checker": dict(end_phrase="Peace!"),
        "startend:quotation": {},
        "punctuation:no_comma": {},
        "change_case:capital_word_frequency": dict(capital_frequency=n, capital_relation=relation),
    }


def main():
    checks = load_checks()
    draw = random.Random(5)
    found = {}  # (kind, verdict): lines
    for _ in range(3000):
        text = "".join(draw.choice(PIECES) + draw.choice(["", "", " ", "\n"]) for _ in range(draw.choice([1, 2, 3, 5, 8, 12])))
        for kind, arguments in instructions(draw).items():
            check = checks[kind](kind)
            check.build_description(**arguments)
            kept = bool(check.check_following(text))
            lines = found.setdefault((kind, kept), [])
            if len(lines) < PER_KIND:
                lines.append(json.dumps({"kind": kind, "arguments": arguments, "text": text, "kept": kept}))
    for key in sorted(found):
        print("\n".join(found[key]))


if __name__ == "__main__":
    main()
