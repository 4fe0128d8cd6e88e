"""What is printed: names of files and classes may hold control characters, which are shown and never obeyed."""

from __future__ import annotations

import logging
import re
import sys

from tagseg.errors import printable

_WHOLE = sys.maxsize
_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON may hold as it is, and a terminal obeys."""


class OneLine(logging.Formatter):
    """A message as one line without control characters, as a name could otherwise forge a line or rule the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, without a traceback, which stays as it is."""
        return printable(super().formatMessage(record), _WHOLE)


def say(text: str) -> None:
    """Print lines, without the control characters that names in them hold."""
    lines = (printable(line, _WHOLE) for line in text.split("\n"))
    print("\n".join(lines).encode("utf-8", "backslashreplace").decode())  # bytes of a file name that are no text


def say_json(text: str) -> None:
    """Print JSON: the same content, with control characters as its escapes."""
    escaped = _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    print(escaped.encode("utf-8", "backslashreplace").decode())
