"""The command line: verb → file. A verb is imported when it is asked for, so that ``--help`` is instant."""

from __future__ import annotations

import difflib
import errno
import logging
import os
import sys
import warnings
from importlib import import_module

from tagseg.errors import TagsegError, is_out_of_memory, printable
from tagseg.stopping import exit_code, leave_terminal, line_of, stop_signals
from tagseg.terminal import OneLine

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if hasattr(errno, "EDQUOT") else (errno.ENOSPC, errno.EFBIG)
"""What the system says of a disk, a quota or a file that is full."""
_NOT_REACHED = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
"""What it says of a path that was given and is none, or is not ours."""
VERBS = ("check", "train", "label", "predict", "review", "evaluate", "export", "report", "serve", "demo")
"""Each is a file of ``tagseg.verbs`` with a function ``run``, which takes the arguments and returns the exit code."""
USAGE = """usage: tagseg VERB ...

Pixel masks from image tags: a network that labels every pixel, trained on which classes each photo shows.

  tagseg demo                              draw scenes, train on their tags, score, make pictures (minutes, no data)
  tagseg check PHOTOS                      find what is wrong with photos, tags and masks, before a training
  tagseg train PHOTOS                      train on a tagged photo folder, PASCAL VOC, MS COCO or drawn scenes
  tagseg label PHOTOS --output OUT         masks of the tagged photos themselves, as a dataset for any trainer
  tagseg predict RUN PHOTOS --output OUT   label every pixel of photos: masks and overlays, no tags needed
  tagseg review RUN PHOTOS --output OUT    which masks to correct first, and how good they are likely to be
  tagseg evaluate RUN                      score a network on images that have masks: mIoU, per-class IoU, accuracy
  tagseg export RUN --output OUT           ONNX and torch.export files, compared with the network on photos
  tagseg report RUN [RUN2 ...]             all of it in one HTML file: data, scores, mistakes, photos; compares runs
  tagseg serve RUN | PHOTOS                a page in the browser: try photos, correct tags, train again in seconds

tagseg VERB --help lists a verb's settings and their defaults. tagseg --version prints the version.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or the code of the verb; 2 after a user's error, printed in one line on standard error; 130 after Ctrl-C, 143
        after SIGTERM, 129 after SIGHUP.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.WARNING, format="tagseg: %(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLine("tagseg: %(message)s"))
    logging.getLogger("tagseg").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module="PIL")  # on odd files: two lines each, that name our installation
    # Without a network the hub's client would tell each of its retries twice; one line of ours says what to do.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    with stop_signals():
        return _code_of(arguments)


def _code_of(arguments: list[str]) -> int:
    """Run one command; its errors and its end by a signal are one line each."""
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()  # an error here would be told by the interpreter, in its own way, after the end
        return code
    except TagsegError as error:
        print(f"tagseg: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\ntagseg: {line_of(stop)}", file=sys.stderr)
        return exit_code(stop)
    except BrokenPipeError:  # e.g. ``tagseg evaluate … | head``
        sys.stderr.close()
        return 0
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        way_out = "take fewer images at a time, smaller ones, or fewer workers: docs/troubleshooting.md"
        print(f"tagseg: error: not enough memory ({printable(str(error), 200)}): {way_out}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno in _NOT_REACHED and error.filename:
            name = printable(str(error.filename), 200)
            print(f"tagseg: error: cannot use {name}: {error.strerror}; give another file or folder", file=sys.stderr)
            return 2
        if error.errno not in _NO_ROOM:
            raise
        leave_terminal((1,))  # what could not be printed would be tried again at the end
        print(
            f"tagseg: error: cannot write {error.filename or 'what is printed'}: {error.strerror}; make room and start "
            "again",
            file=sys.stderr,
        )
        return 2


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"tagseg {version('tagseg')}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise TagsegError(f"{verb!r} is no verb, expected one of: {', '.join(VERBS)}{hint}")
    code: int | None = import_module(f"tagseg.verbs.{verb}").run(arguments[1:])
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
