"""The files that ``predict`` writes: label maps in the formats asked for, overlays and tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tagseg.arguments import refuse
from tagseg.data.palette import Colour
from tagseg.errors import TagsegError
from tagseg.formats.format import Plan
from tagseg.formats.settings import FormatSettings
from tagseg.formats.table import FORMATS, Formats, formats_named
from tagseg.inference import export
from tagseg.inference.jobs import target
from tagseg.inference.predictor import Predictor
from tagseg.inference.result import Result


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image.

    Attributes:
        image: the image file.
        name: of its outputs without extension: ``masks/<name>.png``, ``overlays/<name>.jpg``, ``scores/<name>.npz``.
        mask: the label map file; ``None`` where ``png`` is not among the formats.
        shares: share of the pixels (0 to 1) of each predicted foreground class, largest first.
    """

    image: Path
    name: str
    mask: Path | None
    shares: dict[str, float]


class Chosen(NamedTuple):
    """The formats that were asked for, masks last, and their settings."""

    names: tuple[str, ...]
    settings: FormatSettings

    @property
    def probs(self) -> bool:
        """Whether one of them needs the probability of each label."""
        return any(FORMATS[name].PROBS for name in self.names)


def chosen_formats(format: str | Sequence[str], settings: FormatSettings, scores: bool) -> Chosen:
    """Check which formats are asked for; ``scores`` stands for ``npz`` as float16.

    Raises:
        TagsegError: no such format, or two forms of scores.
    """
    names = formats_named(format)
    if not isinstance(settings, FormatSettings):
        raise refuse("format_settings", settings, "FormatSettings of tagseg.formats.settings")
    if scores and "npz" in names:
        raise TagsegError(
            "scores and the format npz both write scores/, expected one of them: leave out scores; float16, which it "
            "writes, is format_settings.scores_as float16"
        )
    if scores:
        names, settings = (*names, "npz"), dataclasses.replace(settings, scores_as="float16")
    return Chosen(tuple(sorted(names, key=lambda name: name == "png")), settings)


class Outputs:
    """Writes what was asked for.

    Args:
        output: folder of the results.
        chosen: the formats.
        predictor: has the names and colours of the labels.
        photos: names of all photos, in their order.
        overlays: whether pictures of the masks over the photos are written.

    Raises:
        TagsegError: a format cannot hold these classes or photos.
    """

    def __init__(
        self, output: Path, chosen: Chosen, predictor: Predictor, photos: tuple[str, ...], overlays: bool
    ) -> None:
        self._output = output
        self._masks = "png" in chosen.names
        self._overlays = overlays
        self._classes, self._colours = predictor.classes, predictor.colours
        plan = Plan(output, predictor.names, predictor.colours, photos, chosen.settings)
        self._formats = Formats(chosen.names, plan)

    def write(self, index: int, image: Path, name: str, result: Result) -> tuple[int, Prediction]:
        """Write every file of an image, its mask last. Uses no torch, as it may run in a thread."""
        if self._overlays:
            export.save_picture(target(self._output, "overlays", name), result.plot())
        self._formats.add(result, name)
        mask = target(self._output, "masks", name) if self._masks else None
        return index, Prediction(image, name, mask, result.shares())

    def close(self, done: list[Prediction]) -> None:
        """Write the tables of what was written, and what formats write at the end."""
        try:
            if done:
                save_tables(self._output, self._classes, self._colours, done)
        finally:
            self._formats.close()


def save_tables(output: Path, classes: tuple[str, ...], colours: Sequence[Colour], done: Iterable[Prediction]) -> None:
    """Write ``classes.csv`` and ``predictions.csv``; the predictions are taken one by one."""
    export.save_legend(output / "classes.csv", classes, colours)
    rows = (_row(output, prediction) for prediction in done)
    export.save_table(output / "predictions.csv", ("image", "mask", "classes", "shares"), rows)


def _row(output: Path, prediction: Prediction) -> tuple[object, ...]:
    mask = "" if prediction.mask is None else prediction.mask.relative_to(output).as_posix()
    shares = ";".join(f"{share:.4f}" for share in prediction.shares.values())
    return prediction.image, mask, ";".join(prediction.shares), shares
