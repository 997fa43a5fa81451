"""Writes policy/tokenizer/unicode_additions.inc: characters that PCRE2 10.42 (Unicode 14.0) does not
know and that the Oniguruma inside Hugging Face `tokenizers` does (Unicode 16.0), by general category.

Run with Python 3.11 (whose unicodedata is Unicode 14.0) and tokenizers 0.23.3:
    python tests/golden/make_unicode_additions.py
"""

import pathlib
import unicodedata

import tokenizers
from tokenizers import Regex, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cf".split()


def members(category, characters):
    """The characters that Oniguruma puts into the category."""
    splitter = pre_tokenizers.Split(Regex(r"\p{%s}" % category), "removed", invert=True)
    found = set()
    for start in range(0, len(characters), 4096):
        text = "".join(characters[start : start + 4096])
        for piece, _ in splitter.pre_tokenize_str(text):
            found.update(piece)
    return found


def main():
    assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
    assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
    new = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) == "Cn"]
    category_of = {}
    for category in CATEGORIES:
        for character in members(category, new):
            category_of[ord(character)] = category
    ranges = []
    for code, category in sorted(category_of.items()):
        if ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == category:
            ranges[-1][1] = code
        else:
            ranges.append([code, code, category])
    lines = ["// Made by tests/golden/make_unicode_additions.py with tokenizers 0.23.3: {first, last, category}."]
    lines += ['{0x%04X, 0x%04X, "%s"},' % tuple(entry) for entry in ranges]
    root = pathlib.Path(__file__).resolve().parents[2]
    (root / "policy/tokenizer/unicode_additions.inc").write_text("\n".join(lines) + "\n")
    print(len(ranges), "ranges,", len(category_of), "characters")


if __name__ == "__main__":
    main()
