"""Writes policy/tokenizer/unicode_classes.inc: which code points the Oniguruma inside Hugging Face
`tokenizers` counts as letters, marks, numbers, punctuation, symbols and white space.

Run with tokenizers 0.23.3:
    python tests/golden/make_unicode_classes.py
"""

import pathlib

import tokenizers
from tokenizers import Regex, pre_tokenizers

CLASSES = {"kLetter": r"\p{L}", "kMark": r"\p{M}", "kNumber": r"\p{N}", "kPunctuation": r"\p{P}",
           "kSymbol": r"\p{S}", "kSpace": r"\s"}
CHUNK = 4096


def members(pattern, characters):
    splitter = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    found = set()
    for start in range(0, len(characters), CHUNK):
        for piece, _ in splitter.pre_tokenize_str("".join(characters[start : start + CHUNK])):
            found.update(piece)
    return found


def main():
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    class_of = {}
    for name, pattern in CLASSES.items():
        for character in members(pattern, characters):
            assert character not in class_of, (character, name)
            class_of[character] = name
    starts, last = [], "kOther"
    for code in range(0x110000):
        name = class_of.get(chr(code), "kOther")
        if name != last:
            starts.append((code, name))
            last = name
    lines = ["// Made by tests/golden/make_unicode_classes.py with tokenizers 0.23.3: {first code point, class}."]
    row = ""
    for code, name in starts:
        entry = "{0x%X, %s}," % (code, name)
        if len(row) + len(entry) > 99:
            lines.append(row)
            row = ""
        row += (" " if row else "") + entry
    root = pathlib.Path(__file__).resolve().parents[2]
    (root / "policy/tokenizer/unicode_classes.inc").write_text("\n".join([*lines, row]) + "\n")
    print(len(starts), "ranges,", len(class_of), "characters")


if __name__ == "__main__":
    main()
