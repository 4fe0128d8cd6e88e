"""The error that a user can cause: one line with what is wrong, where, what was expected and the way out."""

from __future__ import annotations

from collections.abc import Mapping

LONGEST = 1000
"""Characters of the longest message that is shown whole."""
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "Storage size calculation overflowed")
_JOINERS = "\u200c\u200d"
"""Not printable by Python, but parts of words and emojis."""


class TagsegError(ValueError):
    """Bad input. Its message is one line; the command line prints it without a traceback and exits with 2.

    What a message quotes from a file may be anything: shown are no line ends, no control characters, which could rule
    a terminal, and not more than ``LONGEST`` characters, the beginning and the end, where the way out is.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str, longest: int = LONGEST) -> str:
    """The text in one line, without control characters, and shortened in its middle where it is very long."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else _shown(letter) for letter in text)
    if len(text) <= longest:
        return text
    return f"{text[: longest - longest // 3]} … {text[3 - longest // 3 :]}"


def _shown(letter: str) -> str:
    if letter.isspace():
        return " "
    is_name = "\ud800" <= letter <= "\udfff"  # of a file, in bytes that are no text: shown by who prints it
    return letter if is_name or letter in _JOINERS else ascii(letter)[1:-1]


class NonFiniteLoss(TagsegError):
    """A loss that is infinite or not a number: the state that led there is not worth keeping."""


class Collapsed(TagsegError):
    """A training that has died in silence: its outputs no longer depend on the images."""


class UnknownTag(TagsegError):
    """A tag that the class list does not have.

    Attributes:
        tag: as it is written.
        classes: the class list.
    """

    def __init__(self, message: str, tag: str, classes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.tag, self.classes = tag, classes


class NothingToScore(TagsegError):
    """No image is kept for scoring; a training goes on without."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether the memory of the machine or of a GPU did not suffice; PyTorch says it by a ``RuntimeError``."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def one_line(error: TagsegError) -> TagsegError:
    """The error of a loader's worker, which PyTorch wraps in a traceback, as its message alone."""
    whole = str(error.args[0]) if error.args else ""  # with its line ends
    last = whole.split("TagsegError: ")[-1].strip().splitlines()
    return TagsegError(last[0]) if last else error


def list_some(names: list[str], most: int = 3) -> str:
    """``a, b, c and 7 more``: enough names to find the trouble, few enough to read."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def some_failed(failed: Mapping[str, str], total: int, what: str) -> TagsegError:
    """The error of a job that went on after some of its parts failed.

    Args:
        failed: name → error message, one at least.
        total: number of all parts.
        what: they are, e.g. ``photos``.
    """
    (_, message), *others = failed.items()
    if total == 1:
        return TagsegError(message)
    done = ", the others are done" if len(failed) < total else ""
    names = f"; also {list_some([name for name, _ in others])}" if others else ""
    return TagsegError(f"{len(failed)} of {total} {what} failed{done}: {message}{names}")
