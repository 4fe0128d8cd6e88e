"""``tagseg export`` and ``tagseg.export``: a network for other runtimes, each file compared with the network."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tagseg.arguments import check_kinds, check_path
from tagseg.errors import TagsegError, some_failed
from tagseg.exporting.about import about_of
from tagseg.exporting.formats import ExportFormat, Job, Photos, chosen
from tagseg.exporting.graph import ExportGraph
from tagseg.exporting.onnx import OPSETS
from tagseg.exporting.parity import Parity, Run, Tolerance, check
from tagseg.exporting.photos import random_images, sample_photos
from tagseg.exporting.repository import CARD, check_card, complete
from tagseg.files import replacing
from tagseg.inference.predictor import open_network
from tagseg.model.checkpoint import trained_maps
from tagseg.model.hub import PUBLISHED
from tagseg.model.network import Network
from tagseg.progress import with_progress

ABOUT = "export.json"
"""What describes an export: preprocessing, files, parity."""
logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        folder: with the files and ``export.json``.
        files: format → its files, the first is the one to open.
        parity: format → how it compares with the network.
    """

    folder: Path
    files: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    parity: dict[str, Parity] = field(default_factory=dict)

    def summary(self) -> str:
        """A line for each file."""
        return "\n".join(f"{self.files[name][0]}: {parity.summary()}" for name, parity in self.parity.items())


def export(
    model: str | Path | Network,
    output: str | Path = "export",
    *,
    format: str | tuple[str, ...] = "onnx",
    size: int | None = None,
    dynamic: bool = False,
    labels: bool = False,
    opset: int = 20,
    photos: str | Path | Sequence[str | Path] | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> Export:
    """Write a network for other runtimes; each file is compared with the network before it gets its name.

    Preprocessing is inside the graph: it takes RGB of 0 to 255. One scale, without mirroring, float32. ``export.json``
    describes input, outputs, classes and how the files compare (docs/export.md).

    Args:
        model: run folder, ``.safetensors`` file or a network.
        output: folder for the files.
        format: one or more of onnx, torch, onnx-float16, onnx-int8, openvino, commas between them.
        size: side in pixels of a square input, a multiple of the patch size, with a batch of one; default: any size
            that is a multiple of the patch size, and any batch.
        dynamic: any size, the default; it says so.
        labels: also return the label map at the input's size, uint8.
        opset: of ONNX, 18 to 20.
        photos: image files or folders to compare on, at most 20 of them; default: photos of the run.
        overwrite: replace files of an earlier export.
        quiet: no progress bar.

    Raises:
        TagsegError: bad settings, files that are there already, a missing extra, an encoder that cannot be exported,
            or an exported network that differs from the network; its file is not left.
    """
    check_path("output", output)
    check_kinds(locals(), size="whole?", dynamic="switch", labels="switch", opset="whole", overwrite="switch",
                quiet="switch")  # fmt: skip
    formats, folder = chosen(format), Path(output).expanduser()
    _check(model, formats, folder, size if dynamic else None, opset, overwrite)
    network = open_network(model, "cpu")
    found = sample_photos(model, photos, folder)
    graph = ExportGraph(network, size, labels)
    work = _Work(
        network, graph, about_of(graph), found or random_images(graph), found is not None, folder, opset, quiet
    )
    if found is None:
        logger.warning("no photo is at hand: parity is checked on random images only; --photos FOLDER names photos")
    with _workplace(folder) as place:
        failed = {name: str(error) for name, error in _each(work, formats, place)}
    if work.done.files:
        complete(folder, model, network, work.description())
    if failed:
        raise some_failed(failed, len(formats), "formats")
    return work.done


@dataclass
class _Work:
    """An export under way."""

    network: Network
    graph: ExportGraph
    about: dict[str, Any]
    photos: Photos
    real: bool
    folder: Path
    opset: int
    quiet: bool
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.done = Export(self.folder)

    def write(self, name: str, form: ExportFormat, place: Path) -> None:
        """Write one format, compare it, and put its files and the description in place.

        Raises:
            TagsegError: it cannot be written, or differs from the network.
        """
        logger.info("%s: writing %s, which can take minutes", name, form.files[0])
        facts = form.write(Job(self.graph, place, self.about, self.photos, self.opset))
        parity = self.compare(name, form, form.open(place / form.files[0]))
        for file in form.files:
            _publish(place / file, self.folder / file)
        self.done.files[name] = tuple(self.folder / file for file in form.files)
        self.done.parity[name] = parity
        sizes = {file: (self.folder / file).stat().st_size for file in form.files}
        self.facts[name] = {"files": list(form.files), "bytes": sum(sizes.values()), **facts}
        if parity.equal_labels < form.warn_below:
            differing = f"{100 * (1 - parity.equal_labels):.1f} % of the labels differ from those of the network"
            self.facts[name]["warning"] = f"{differing}: measure what that costs before you use it"
            logger.warning("%s: %s", form.files[0], self.facts[name]["warning"])
        self.describe()

    def compare(self, name: str, form: ExportFormat, run: Run) -> Parity:
        """The comparison on the photos. Of any size, random images of several shapes must be within the tolerance, too.

        Raises:
            TagsegError: the exported network differs.
        """
        if self.real and self.graph.size is None and form.tolerance == Tolerance():
            self.judge(name, form, check(run, self.graph, random_images(self.graph), self.network, real=False))
        seen = self.photos if self.quiet else with_progress(self.photos, f"parity of {name}", "photo")
        parity = check(run, self.graph, seen, self.network, self.real)
        self.judge(name, form, parity)
        return parity

    def judge(self, name: str, form: ExportFormat, parity: Parity) -> None:
        """Raise ``TagsegError`` unless the comparison is within the format's tolerance."""
        if not parity.within(form.tolerance):
            raise TagsegError(
                f"{form.files[0]} differs from the network ({parity.summary()}), expected "
                f"{form.tolerance}: it was not kept; "
                "try --size N, another --opset, or a newer PyTorch"
            )

    def description(self) -> dict[str, Any]:
        """What ``export.json`` says of what was written so far."""
        parity = {
            name: one.as_dict() | {"tolerance": chosen(name)[name].tolerance.as_dict()}
            for name, one in self.done.parity.items()
        }
        return self.about | {"files": self.facts, "parity": parity}

    def describe(self) -> None:
        """Write ``export.json``."""
        text = json.dumps(self.description(), indent=2)
        with replacing(self.folder / ABOUT) as path:
            path.write_text(text + "\n", encoding="utf-8")


def _each(work: _Work, formats: dict[str, ExportFormat], place: Path) -> Iterator[tuple[str, TagsegError]]:
    """Write every format; those that failed with their errors."""
    for name, form in formats.items():
        try:
            work.write(name, form, place)
        except TagsegError as error:
            yield name, error


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A hidden folder inside, which is removed at the end, so that files are moved within one disk."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(folder)
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    except OSError as error:
        raise TagsegError(f"cannot write to {folder} ({error.strerror}), expected a folder: choose another") from error
    try:
        yield place
    except OSError as error:
        raise TagsegError(
            f"cannot write to {folder} ({error.strerror or error}): make room or choose another"
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _remove_left_behind(folder: Path, seconds: float = 3600.0) -> None:
    """Delete workplaces that killed exports have left, not those in which somebody wrote in the last hour."""
    for place in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # one that ends at this moment
            newest = max(path.stat().st_mtime for path in (place, *place.rglob("*")))
            if newest < time.time() - seconds:
                shutil.rmtree(place, ignore_errors=True)


_PREFIX = ".export-"


def _publish(path: Path, final: Path) -> None:
    """A second name for a finished file, as other formats may still be made of the first."""
    with replacing(final) as temporary:
        try:
            os.link(path, temporary)
        except OSError:  # a disk without hard links
            shutil.copyfile(path, temporary)


def _check(
    model: object, formats: dict[str, ExportFormat], folder: Path, size_beside: int | None, opset: int, overwrite: bool
) -> None:
    """Raise ``TagsegError`` for what can be told before anything is computed."""
    if size_beside is not None:
        raise TagsegError(f"size is {size_beside} and dynamic is True, expected one of them: leave one out")
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise TagsegError(f"opset is {opset}, expected {OPSETS[0]} to {OPSETS[1]}")
    for name, form in formats.items():
        missing = [module for module in form.needs if find_spec(module) is None]
        if missing:
            raise TagsegError(
                f"--format {name} needs {', '.join(missing)}, which plain tagseg does not install: "
                f'pip install "tagseg[{form.extra}]"'
            )
    written = [*(file for form in formats.values() for file in form.files), ABOUT, PUBLISHED, CARD]
    there = [file for file in written if (folder / file).exists()]
    if there and not overwrite:
        raise TagsegError(f"{folder / there[0]} is there already: choose another --output, or set --overwrite")
    check_card(folder)
    if not isinstance(model, Network):
        check_path("model", model, "a run folder or .safetensors file (str or Path), or a network")
        if "segmentation" not in trained_maps(model):  # type: ignore[arg-type]
            raise TagsegError(
                f"{model}: its decoder was not trained, as its method trains a classifier alone: train with "
                "--method frozen or fsr"
            )
