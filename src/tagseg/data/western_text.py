"""Text of Windows in western languages (cp1252), told from that of other code pages, which looks odd when read so."""

from __future__ import annotations

import re

_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ")
"""Not ÿ, ð, þ, ý, š and ž: their bytes are frequent letters of other code pages."""
_SIGNS = frozenset("°€£«»½²³–—·©®™\u00a0")
"""Signs that do not stand within a word; their bytes are letters of code pages of DOS and Mac."""
_APOSTROPHE = "’"
_WORD = re.compile(r"[^\W\d_]+")
_SIGN_IN_WORD = re.compile(rf"[^\W\d_][{re.escape(''.join(_SIGNS))}][^\W\d_]")
_ODD = re.compile(r"[^\x00-\x7f]{3}|[a-zß-öø-ÿœ][À-ÖØ-ÞŒ]")
"""Three such letters in a row, or a capital after a small letter."""


def western(content: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The text of bytes that are no UTF-8, and its words beyond ASCII, if it is cp1252 beyond reasonable doubt.

    Each word must be one that a western language could have: letters of these languages, beside ASCII letters, no
    capital within. Cyrillic, Greek, Turkish, Chinese, and text of DOS and old Macs look otherwise. A language of
    central Europe may pass by chance, so that the words must be shown.
    """
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        return None
    unusual = {each for each in set(text) if not each.isascii()}
    if not unusual <= _LETTERS | _SIGNS | {_APOSTROPHE} or _SIGN_IN_WORD.search(text):
        return None
    words = dict.fromkeys(word for word in _WORD.findall(text) if not word.isascii())
    evidence = [word for word in words if len(word) > 1]
    if not evidence or not all(any(map(str.isascii, word)) and not _ODD.search(word) for word in evidence):
        return None
    return text, tuple(words)
