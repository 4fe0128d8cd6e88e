"""IoU of each class: networks of the method ``frozen`` from tags beside the same from ground-truth masks.

    python benchmarks/experiments/classes.py [--quick] [--data animals|voc20mix] [--photos 1044] [--seeds 3]
        [--runs FOLDER] [--chart FILE] [--pictures FILE]

Trainings and scores are those of stages.py; ``--runs`` keeps or finds the trainings. ``--chart`` draws the table,
``--pictures`` the masks that both networks of seed 0 give the photos of docs/photos. Development data needed.
``--quick``: 60 photos at 160 px, 30 steps, one seed, 20 photos of ``val``. Prints a table and, last, one line of JSON:
training photos and IoU in % of each class, means over the seeds.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``shared``

from stages import (
    SIZE,
    SOURCES,
    configuration,
    parser_of,
    results_of,
    supervised,
    trained,
    validation_images,
    with_limits,
)

import tagseg
from shared import ANIMALS, PHOTOS, ROOT, WEIGHTS, machine, print_json, require, table
from tagseg.config import Config
from tagseg.data import sources
from tagseg.data.images import read_image
from tagseg.inference.export import blend
from tagseg.model.network import Network

TILE, GAP = 150, 4
"""Pixels of a picture's side, and between pictures."""


class Row(NamedTuple):
    """A class: its training photos, and its IoU in %, mean over the seeds, from tags and from masks."""

    name: str
    photos: int
    tags: float
    masks: float


def main() -> None:
    """Train or find, score, print, draw."""
    arguments = parsed()
    require(ANIMALS, PHOTOS, WEIGHTS)
    with tempfile.TemporaryDirectory() as scratch:
        runs = Path(arguments.runs or scratch)
        rows = rows_of(configuration(arguments, runs), runs, arguments)
        if arguments.pictures:
            sheet([runs / f"{kind}_0" for kind in SOURCES], SIZE[arguments.data]).save(arguments.pictures)
    title = f"{arguments.data}, {arguments.seeds} seed(s), {machine()}"
    printed = [(row.name, str(row.photos), f"{row.tags:.1f}", f"{row.masks:.1f}") for row in rows]
    table(title, ("class", "training photos", "IoU from tags, %", "from masks"), printed)
    if arguments.chart:
        draw(rows, Path(arguments.chart))
    print_json({row.name: {"photos": row.photos, "tags": known(row.tags), "masks": known(row.masks)} for row in rows})


def known(value: float) -> float | None:
    """A number of JSON; ``None`` for a class that is neither there nor predicted."""
    return None if math.isnan(value) else round(value, 1)


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = parser_of(__doc__, "voc20mix")
    parser.add_argument("--chart", default="", help="picture of the table to draw")
    parser.add_argument("--pictures", default="", help="picture of masks to draw")
    return with_limits(parser.parse_args())


def rows_of(config: Config, runs: Path, arguments: argparse.Namespace) -> list[Row]:
    """Background, then the classes, the best from masks first."""
    networks: dict[tuple[str, int], Network] = {}
    for seed in range(arguments.seeds):
        for kind in SOURCES:
            networks[kind, seed] = trained(supervised(config, runs, kind, seed))
    results = results_of(networks, validation_images(config, arguments.limit), SIZE[arguments.data])
    training = sources.load(config.data, config.data.train_split, masks=False)
    photos = [len(training), *training.tag_matrix().sum(axis=0).astype(int).tolist()]

    def iou(kind: str, label: int) -> float:
        return mean(100 * float(results[kind, seed].iou[label]) for seed in range(arguments.seeds))

    names = ("background", *training.classes)
    rows = [Row(name, photos[label], iou("tags", label), iou("masks", label)) for label, name in enumerate(names)]
    return [rows[0], *sorted(rows[1:], key=lambda row: -(known(row.masks) or 0))]


def draw(rows: list[Row], path: Path) -> None:
    """Two bars a class."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 0.34 * len(rows) + 1.1), layout="constrained")
    places = range(len(rows))
    axes.barh([place - 0.2 for place in places], [row.masks for row in rows], 0.4, color="#b7c4d6", label="from masks")
    axes.barh([place + 0.2 for place in places], [row.tags for row in rows], 0.4, color="#1f5fa8", label="from tags")
    axes.set_yticks(list(places), [f"{row.name} ({row.photos})" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("IoU on val, %; in brackets: training photos")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def sheet(models: Sequence[Path], size: int | None) -> Image.Image:
    """The photos of docs/photos in the first line, and below them what each network sees in them."""
    photos = sorted((ROOT / "docs" / "photos").glob("*.jpg"))
    picture = Image.new("RGB", (len(photos) * (TILE + GAP), (1 + len(models)) * (TILE + GAP)), "white")
    predictors = [tagseg.Predictor(model, scales=(1.0,), size=size) for model in models]
    for column, path in enumerate(photos):
        photo = read_image(path)
        masks = [blend(photo, each(path).labels, 0.55, 1, each.network.colours) for each in predictors]
        for line, shown in enumerate((photo, *masks)):
            tile = ImageOps.fit(Image.fromarray(shown), (TILE, TILE))
            picture.paste(tile, (column * (TILE + GAP), line * (TILE + GAP)))
    return picture


if __name__ == "__main__":
    main()
