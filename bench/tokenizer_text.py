"""Writes mixed text for bench/tokenizer.py: licences, manual pages and message catalogues of whatever
Debian packages are installed (many languages), Python's own library, and generated hostile text.

    python3 bench/tokenizer_text.py OUT.txt [--megabytes 6] [--seed 1]

Seeded and sorted, so one machine makes the same file again; another machine has other packages.
"""

import argparse
import gettext
import glob
import gzip
import os
import random
import sysconfig
import unicodedata


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            return file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError, EOFError):
        return ""


def catalogue(path):
    try:
        with open(path, "rb") as file:
            messages = gettext.GNUTranslations(file)._catalog
    except (OSError, UnicodeDecodeError, ValueError, AssertionError):
        return ""
    return "\n".join(text for text in messages.values() if isinstance(text, str))


def take(rng, paths, reader, limit):
    paths = sorted(set(paths))
    rng.shuffle(paths)
    parts, size = [], 0
    for path in paths:
        text = reader(path)[: 1 << 16]
        parts.append(text)
        size += len(text.encode())
        if size >= limit:
            break
    return "\n".join(parts)


def take_each(rng, groups, reader, limit):
    share = limit // max(1, len(groups))
    return "\n".join(take(rng, groups[name], reader, share) for name in sorted(groups))


def by_language(pattern, level):
    groups = {}
    for path in glob.glob(pattern, recursive=True):
        groups.setdefault(path.split(os.sep)[level], []).append(path)
    return groups


def emoji(rng):
    faces = [chr(c) for c in [*range(0x1F300, 0x1F650), *range(0x1F900, 0x1FA00), *range(0x2600, 0x27C0)]]
    tones = ["", "", *map(chr, range(0x1F3FB, 0x1F400)), "\ufe0f", "\ufe0e"]
    joined = "\u200d".join(rng.choice(faces) + rng.choice(tones) for _ in range(rng.randrange(1, 5)))
    flag = chr(0x1F1E6 + rng.randrange(26)) + chr(0x1F1E6 + rng.randrange(26))
    return rng.choice([joined, flag, rng.choice("0123456789#*") + "\ufe0f\u20e3"])


def hostile(rng):
    def code():
        c = rng.randrange(0x110000)
        return chr(c if not 0xD800 <= c <= 0xDFFF else 0xD7FF)

    marks = [chr(c) for c in range(0x300, 0x1E00) if unicodedata.combining(chr(c))]
    spaces = " \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u3000\u180e\u200b\ufeff"
    kinds = [
        lambda: emoji(rng),
        lambda: "".join(code() for _ in range(rng.randrange(1, 6))),
        lambda: "".join(rng.choice(spaces) for _ in range(rng.randrange(1, 12))),
        lambda: rng.choice(["e", "a", "가", "ก", "न", "ا"]) + "".join(rng.choice(marks) for _ in range(rng.randrange(1, 8))),
        lambda: "".join(rng.choice("0123456789٣٤५६½①Ⅷ𝟙") for _ in range(rng.randrange(1, 30))),
        lambda: "".join(chr(rng.randrange(0x20)) for _ in range(rng.randrange(1, 4))),
        lambda: rng.choice(["'s", "'S", "'LL", "'re", "'ſ", "’s", "'VE've"]),
        lambda: rng.choice("abcxyzé漢あй") * rng.randrange(1, 200),
        lambda: "".join(rng.choice("!?.,;:-_=+*/\\|<>[]{}()@#$%^&~`'\"") for _ in range(rng.randrange(1, 10))) + rng.choice(["", "\r\n", "\n\n"]),
        lambda: "".join(chr(rng.choice([0x4E00, 0x3040, 0xAC00, 0x1100, 0x1160, 0x11A8, 0xD7A3, 0xE000, 0xFFFD, 0xFFFF, 0x10FFFF])) for _ in range(3)),
        lambda: rng.choice(["<|endoftext|>", "<|im_start|>user\n", "<|im_end|>", "<|eot_id|>", "<｜User｜>", "<think>", "</think>", "<|", "|>"]),
        lambda: " word Word WORD wörd"[rng.randrange(10) :],
    ]
    return "".join(rng.choice(kinds)() for _ in range(rng.randrange(1, 40)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--megabytes", type=float, default=6)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    part = int(args.megabytes * 1e6 / 6)
    library = sysconfig.get_paths()["stdlib"]
    languages = by_language("/usr/share/locale/*/LC_MESSAGES/*.mo", 4) | by_language("/usr/share/vim/vim*/lang/*/LC_MESSAGES/*.mo", 6)
    manuals = by_language("/usr/share/man/*/man*/*.gz", 4)
    licences = ["/usr/share/common-licenses/" + n for n in sorted(os.listdir("/usr/share/common-licenses"))]
    parts = {
        "licences and copyrights": take(rng, licences + glob.glob("/usr/share/doc/*/copyright"), read, part // 2),
        "English manuals": take(rng, glob.glob("/usr/share/man/man[0-9]/*.gz"), read, part // 2),
        "translated manuals": take_each(rng, manuals, read, part),
        "message catalogues": take_each(rng, languages, catalogue, 2 * part),
        "Python sources": take(rng, glob.glob(library + "/*.py") + glob.glob(library + "/*/*.py"), read, part),
        "emoji and hostile": "",
    }
    made, size = [], 0
    while size < part:
        made.append(hostile(rng))
        size += len(made[-1].encode())
    parts["emoji and hostile"] = "\n".join(made)
    with open(args.out, "w", encoding="utf-8", newline="") as out:
        for name, text in parts.items():
            out.write(text + "\n")
            print(f"{name}: {len(text.encode()) / 1e6:.2f} MB")
    print(f"{args.out}: {os.path.getsize(args.out) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
