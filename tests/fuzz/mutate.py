"""Changes to the bytes of a file: bits, cuts, splices, tokens, numbers, encodings; drawn from a given generator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

MOST = 60_000
"""Bytes of the longest input."""
MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff")
NUMBERS = (
    *(b"0", b"-1", b"1", b"2", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"-2147483649"),
    *(b"4294967296", b"9223372036854775807", b"9223372036854775808", b"1" * 30, b"9" * 400, b"9" * 5000),
    *(b"1e308", b"1e309", b"-1e400", b"1e-400", b"0.0", b"-0.0", b"0.5", b"NaN", b"Infinity", b"-Infinity", b"nan"),
    *(b"0x10", b"1_000", b"\xd9\xa1\xd9\xa2", b"\xc2\xb2", b"01", b"+1", b" 1", b"1."),
)
VALUES = (
    *(b"null", b"true", b"false", b"[]", b"{}", b'""', b"[[]]", b"[{}]", b"[null]", b'{"a":1}', b'"x"', b"~", b"*a"),
    *(b"!!python/object:os.system x", b"&a [*a]", b"<<: *a", b"\\u0000", b'"\\ud800"', b"'", b'"', b'""', b"=", b"#"),
)
TEXTS = (
    *("\0", "\x1b[31m", "\r", "\n", "\r\n", "\t", "\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\u00a0", "\u3000"),
    *("\u202e", "\u200b", "\ufeff", "é", "e\u0301", "İ", "ß", "\ufb01", "😀", "x" * 300, "../" * 6, "/etc/passwd"),
    *(",", ";", "|", ":", "\\", "%s", "{0}", "~", "-", "*", "&", "<b>", "background", "nan", "none", "ignore"),
)
Change = Callable[[bytes, Random, Sequence[bytes]], bytes]


def mutated(content: bytes, rng: Random, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """The content after one to four changes; ``words`` are the format's own, ``others`` contents to splice with."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        change = rng.choice(_CHANGES)
        content = change(content, rng, others if change is _splice else words)[:MOST]
    return content


def _place(content: bytes, rng: Random) -> int:
    return rng.randint(0, len(content))


def _flip(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(content)
    for _bit in range(rng.choice((1, 1, 2, 8)) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _byte(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place = _place(content, rng)
    return (
        content[:place] + bytes([rng.choice((0, 255, 127, 128, 10, 34, 44, rng.randrange(256)))]) + content[place + 1 :]
    )


def _cut(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    return content[: _place(content, rng)]


def _remove(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    start = _place(content, rng)
    return content[:start] + content[start + rng.choice((1, 2, 4, 16, 64)) :]


def _repeat(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    start = _place(content, rng)
    part = content[start : start + rng.choice((1, 2, 8, 40))]
    return content[:start] + part * rng.choice((2, 2, 3, 50, 1000)) + content[start:]


def _insert_word(content: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    place = _place(content, rng)
    return content[:place] + rng.choice(words or VALUES) + content[place:]


def _insert_text(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place = _place(content, rng)
    return (
        content[:place]
        + rng.choice(TEXTS).encode(rng.choice(("utf-8", "utf-8", "utf-8", "cp1252")), "replace")
        + content[place:]
    )


def _number(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    return _replaced(content, rng, rb"-?\d+(?:\.\d+)?", NUMBERS)


def _token(content: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """A word, a quoted text or a mark of the format becomes another one of the file, of the format or of JSON."""
    pattern = rb'"[^"\n]{0,40}"|[A-Za-z_]\w*|[^\w\s]'
    own = [found[0] for found in re.finditer(pattern, content[:2000])]
    return _replaced(content, rng, pattern, (*own[:50], *VALUES, *words))


def _replaced(content: bytes, rng: Random, pattern: bytes, by: Sequence[bytes]) -> bytes:
    found = list(re.finditer(pattern, content[:8000]))
    if not found:
        return content + rng.choice(by)
    one = rng.choice(found)
    return content[: one.start()] + rng.choice(by) + content[one.end() :]


def _lines(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    """Lines are doubled, dropped, swapped or moved."""
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        lines.insert(other, lines[one])
    elif way == 1:
        del lines[one]
    elif way == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] += lines[other]
    return b"\n".join(lines)


def _splice(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else content
    start = _place(other, rng)
    return content[: _place(content, rng)] + other[start : start + rng.choice((4, 30, 300, MOST))]


def _nest(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place, count = _place(content, rng), rng.choice((5, 200, 3000, 20_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"- ", b""), (b"(", b")")))
    return content[:place] + opening * count + rng.choice((b"", b"1", closing * count)) + content[place:]


def _mark(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    return rng.choice(MARKS) + content


def _encode(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    """Text in another encoding."""
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "shift_jis", "utf-7", "cp037"))
    return content.decode("utf-8", "replace").encode(encoding, "replace")


def _ends(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\n\r", b"", b"\x0b")))


def _words(content: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    """Four bytes become an integer of two or four bytes, as binary headers have them."""
    place, size = _place(content, rng), rng.choice((2, 4, 8))
    value = rng.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.randrange(1 << 16)))
    written = (value & ((1 << 8 * size) - 1)).to_bytes(size, rng.choice(("little", "big")))
    return content[:place] + written + content[place + size :]


_CHANGES: tuple[Change, ...] = (
    *(_flip, _flip, _byte, _byte, _cut, _remove, _repeat, _insert_word, _insert_text, _number, _number, _token, _token),
    *(_token, _lines, _lines, _splice, _nest, _mark, _encode, _ends, _words, _words),
)
