"""Writes tests/policy/golden/tokenizer.json: what Hugging Face `tokenizers` trains, encodes and decodes.

Run with tokenizers 0.23.3:
    python tests/golden/make_tokenizer_golden.py
The test puts each variant's patch over the top-level members of the trained tokenizer and expects
the ids and texts recorded here.
"""

import json
import pathlib
import random
import re

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SEED = 20250122
VOCAB_SIZE = 400
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK_V3 = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
    r"|\s*[\r\n]|\s+(?!\S)|\s"
)
ADDED = [("<|endoftext|>", True), ("<think>", False), ("</think>", False), ("<answer>", False), ("</answer>", False)]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}

TEXTS = [
    "",
    " ",
    "The answer is 12345 + 678 = 13023.",
    "<think>\n12 * 12 = 144\n</think>\n<answer>144</answer><|endoftext|>",
    "<think><think </think <answer>>",
    "我们先计算 3 + 4 等于 7。答案是７",
    "naïve café, Ångström, e\u0301 and ﬁ; it's we'LL they'ſ",
    "👩‍👩‍👧🏽 🇩🇪 ✅ ①②½ ٣٤٥ 𝟙𝟚",
    "a\r\n\r\n  b \t\n   c   ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "가각 \u1100\u1161\u11a8 हिन्दी ไทย עברית العربية Привет",
    "x\u180ey\u200bz\u0085\u00a0\u3000\u2028w\u0000end",
    "\U00031350\U0002ebf0 \U0001ccf1\U0001ccf2 \U00011f50 A\U0001e030",
    "Hello hello, 'Tis 1000000 and 3.14159",
    "\u0130STANBUL \u1e9eTRASSE \u03a3\u0391\u03a3 \u01c5 \u2126\u212a\u212b \U00010400\U0001e921 \u10a0\u13a0\u1c90 \u2160\u24b6 \u2c2f\ua7c0 \u1c89\ua7cb\ua7ce\ua7dc\U00010d65\U00016eb8",
]


def documents(rng):
    words = ["".join(rng.choice("etaoinshrdlu") for _ in range(rng.randrange(1, 7))) for _ in range(60)]
    characters = "我们先计算再检查结果等于答案是"
    made = []
    for _ in range(40):
        parts = []
        for _ in range(rng.randrange(3, 15)):
            kind = rng.random()
            if kind < 0.6:
                parts.append(rng.choice(words))
            elif kind < 0.8:
                parts.append(f"{rng.randrange(100)} {rng.choice('+-*')} {rng.randrange(1000)}")
            else:
                parts.append("".join(rng.choice(characters) for _ in range(rng.randrange(1, 5))))
        made.append(" ".join(parts) + rng.choice([".", "!\n", "aaaa"]))
    return made


def random_text(rng):
    kinds = [
        lambda: chr(rng.randrange(0x20, 0x7F)),
        lambda: rng.choice(" \t\n\r\u00a0\u3000"),
        lambda: chr(rng.randrange(0x4E00, 0x9FFF)),
        lambda: chr(rng.randrange(0x300, 0x700)),
        lambda: str(rng.randrange(100000)),
        lambda: rng.choice([name for name, _ in ADDED]),
        lambda: rng.choice(["'s", "'LL", " the", "\r\n", "😀", "é", "e\u0301", "ﬁ"]),
    ]
    return "".join(rng.choice(kinds)() for _ in range(rng.randrange(5, 40)))


def train(docs):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[AddedToken(name, normalized=False, special=special) for name, special in ADDED],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(docs, trainer)
    return json.loads(tokenizer.to_str())


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*parts, BYTE_LEVEL]}}


def normalizers(*parts):
    return {"normalizer": {"type": "Sequence", "normalizers": [*parts]}}


def variants(trained):
    added = trained["added_tokens"]

    def changed(*changes):
        return {"added_tokens": [{**token, **change} for token, change in zip(added, changes)]}

    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "</think>", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            name: {"id": name, "ids": [i], "tokens": [name]} for name, i in [("<|endoftext|>", 0), ("</think>", 2)]
        },
    }
    words = {**trained["model"], "ignore_merges": True, "merges": trained["model"]["merges"][:20]}
    lines = {**trained["model"], "merges": [" ".join(pair) for pair in trained["model"]["merges"]]}
    return {
        "trained": {},
        "gpt2": {"pre_tokenizer": {**BYTE_LEVEL, "use_regex": True}},
        "prefix_space": {"pre_tokenizer": {**BYTE_LEVEL, "use_regex": True, "add_prefix_space": True}},
        "deepseek_v3": sequence(*map(split, DEEPSEEK_V3)),
        "cl100k": sequence(split(CL100K)),
        "inverted": sequence(split(LLAMA3, "Removed", True), {"type": "Digits", "individual_digits": True}),
        "merged_previous": sequence(split(r"\s|\d*", "MergedWithPrevious")),
        "merged_next": sequence({**split(""), "pattern": {"String": " "}, "behavior": "MergedWithNext"}),
        "contiguous": sequence(split(r"\w", "Contiguous"), {"type": "Digits", "individual_digits": False}),
        "nfc": {"normalizer": {"type": "NFC"}},
        "nfkc": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "NFKC"}]}},
        "lowercase": {"normalizer": {"type": "Lowercase"}},
        "replace": normalizers(
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
            {"type": "Replace", "pattern": {"Regex": r"\p{Nd}+|[\r\n]+"}, "content": "#\n"},
            {"type": "Replace", "pattern": {"Regex": "a|e\u0301"}, "content": ""},
        ),
        "prepend": normalizers(
            {"type": "Prepend", "prepend": "\u2581 "},
            {"type": "Lowercase"},
            {"type": "NFKD"},
            {"type": "Replace", "pattern": {"String": "aa"}, "content": "a"},
        ),
        "ignore_merges": {"model": words},
        "merge_lines": {"model": lines},
        "added_flags": changed({}, {"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"normalized": True}),
        "template": {"post_processor": {"type": "Sequence", "processors": [BYTE_LEVEL, template]}},
    }


def main():
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    rng = random.Random(SEED)
    docs = documents(rng)
    trained = train(docs)
    texts = TEXTS + [random_text(rng) for _ in range(15)]
    size = len(trained["model"]["vocab"])
    streams = [[rng.randrange(size + 3) for _ in range(25)] for _ in range(20)]
    cases = []
    for name, patch in variants(trained).items():
        tokenizer = Tokenizer.from_str(json.dumps({**trained, **patch}))
        ids = [tokenizer.encode(text, add_special_tokens=name == "template").ids for text in texts]
        cases.append({"name": name, "patch": patch, "ids": ids})
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    golden = {
        "made_by": f"tests/golden/make_tokenizer_golden.py, seed {SEED}, tokenizers {tokenizers.__version__}",
        "documents": docs,
        "tokenizer": trained,
        "texts": texts,
        "variants": cases,
        "streams": [
            {"ids": ids, "text": tokenizer.decode(ids, False), "plain": tokenizer.decode(ids, True)} for ids in streams
        ],
    }
    root = pathlib.Path(__file__).resolve().parents[2]
    text = json.dumps(golden, ensure_ascii=True, indent=1)
    text = re.sub(r"\[\s+((?:-?\d+,?\s*)+)\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]).strip() + "]", text)
    assert json.loads(text) == golden
    (root / "tests/policy/golden/tokenizer.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
