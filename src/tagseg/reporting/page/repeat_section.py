"""How to train and to score again: commands and settings, to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tagseg.config_file import NAME
from tagseg.data.split_list import FILE
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.page.html import Html, details, element, section

MOST_LETTERS = 200_000
"""Of settings that are shown; a class map can be long."""


def repeat_section(runs: Sequence[MeasuredRun]) -> Html:
    """One block for each run."""
    found: list[object] = []
    for number, one in enumerate(runs):
        found.append(element("h3", one.run.name) if len(runs) > 1 else None)
        found.append(_train(one, number))
        found.append(element("p", "The scores of this report:" if one.scores else "The estimate of this report:"))
        found.append(copyable(f"scores-{number}", "\n".join(score_commands(one))))
        if one.run.settings:
            text = one.run.settings
            if len(text) > MOST_LETTERS:
                text = f"{text[:MOST_LETTERS]}\n# cut here: the whole text is in {one.run.folder / NAME}"
            found.append(details(NAME, copyable(f"settings-{number}", text)))
    return section("repeat", "How to repeat it", found)


def copyable(name: str, text: str) -> Html:
    """Text with a button that copies it."""
    button = element("button", "Copy", type="button", class_="copy", data_copies=name)
    return element("div", button, element("pre", text, id=name, tabindex=0), class_="copyable")


def score_commands(one: MeasuredRun) -> list[str]:
    """What gives the scores of a run on the command line."""
    run = shlex.quote(str(one.run.file if one.run.config is None else one.run.folder))
    if one.scores is None:
        others = _without(one.flags, ("--crf", "--limit", "--split"))
        return [_joined("tagseg review", run, "--split", one.split, "--labels false", *others)]
    found = []
    if one.run.segments:
        found.append(_joined("tagseg evaluate", run, *one.flags))
    if one.cam is not None:
        scales = f"'{one.cam.protocol['scales']}'"
        threshold = str(one.cam.protocol["background threshold"])
        without = _without(one.flags, ("--scales", "--mirror", "--crf"))
        found.append(_joined("tagseg evaluate", run, "--what cam", "--scales", scales,
                             "--background_threshold", threshold, *without))  # fmt: skip
    return found


def _train(one: MeasuredRun, number: int) -> list[object]:
    """The command that trains such a network."""
    if one.run.config is None:
        return [element("p", "How it was trained is not known: there is no config.yaml beside the network.")]
    folder = one.run.folder
    words = ["tagseg train", "--config", shlex.quote(str(folder / NAME))]
    if (folder / FILE).is_file():
        words += ["--data.splits", shlex.quote(str(folder / FILE))]
    again = folder.with_name(f"{folder.resolve().name}_again")
    words += ["--run.output", shlex.quote(str(again))]
    return [element("p", "The training, from the same folder:"), copyable(f"training-{number}", _joined(*words))]


def _without(flags: Sequence[str], names: tuple[str, ...]) -> list[str]:
    """Flags, each with its value, but these."""
    return [flag for flag in flags if flag.split(" ", 1)[0] not in names]


def _joined(*words: str) -> str:
    return " ".join(words)
