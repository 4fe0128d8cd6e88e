"""The error that a user can cause: one line with what is wrong, where, what was expected and the way out."""


class TagsegError(ValueError):
    """Bad input. Its message is one line; the command line prints it without a traceback and exits with 2."""


class NonFiniteLoss(TagsegError):
    """A loss that is infinite or not a number: the state that led there is not worth keeping."""


class Collapsed(TagsegError):
    """A training that has died in silence: its outputs no longer depend on the images."""


class NothingToScore(TagsegError):
    """No image is kept for scoring; a training goes on without."""


def list_some(names: list[str], most: int = 3) -> str:
    """``a, b, c and 7 more``: enough names to find the trouble, few enough to read."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
