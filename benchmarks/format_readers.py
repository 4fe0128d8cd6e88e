"""Measure how many pixels of a mask the readers of other tools give back, of every format of ``predict``.

Needs the development data (``../shared/data``) and the readers, which ``make test-formats`` installs:

    .venv-formats/bin/python benchmarks/format_readers.py
    .venv-formats/bin/python benchmarks/format_readers.py --masks OUT/masks

Ground truth of photos of voc20mix and tiny_coco; with ``--masks`` also what ``predict`` made of photos of voc20mix.
Prints a table and, last, one line of JSON. ``--quick``: fewer photos, under a minute.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # for ``tests``

from tests.formats.conftest import Photo, expected, voc20mix
from tests.formats.readers import READERS, Reader
from tests.formats.test_round_trips import equal_shares

from shared import PHOTOS, SHARED, arguments_of, print_json, require, table
from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.data.voc import CLASSES

COCO = SHARED / "data" / "tiny_coco"
Photos = tuple[dict[str, Photo], tuple[str, ...]]


def tiny_coco(count: int) -> Photos:
    """Photos of tiny_coco with their ground truth, and the 80 classes."""
    images = load(DataConfig(source="coco", root=str(COCO)), "val")
    chosen = [sample for sample in images.samples if sample.mask is not None][:count]
    return {sample.image.stem: Photo(sample.mask(), sample.image) for sample in chosen if sample.mask}, images.classes


def predicted(masks: Path) -> Photos:
    """Photos of voc20mix with masks that ``predict`` wrote."""
    paths = sorted(masks.glob("*.png"))
    images = {path: PHOTOS / "JPEGImages" / f"{path.stem}.jpg" for path in paths}
    return {path.stem: Photo(np.array(Image.open(path)), images[path]) for path in paths}, CLASSES


def equal(name: str, reader: Reader, photos: Photos) -> tuple[float, float]:
    """Share of equal pixels of all photos, and of the worst."""
    some, classes = photos
    if name == "voc-server":
        some = {each: Photo(expected(photo), photo.path) for each, photo in some.items()}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        shares = equal_shares(name, reader, some, classes, Path(folder))
    sizes = {each: photo.mask.size for each, photo in some.items()}
    return sum(shares[each] * sizes[each] for each in some) / sum(sizes.values()), min(shares.values())


def main() -> None:
    """Run the measurements and print them."""
    parser = arguments_of(__doc__, "fewer photos, under a minute")
    parser.add_argument("--masks", type=Path, help="masks/ of a prediction of photos of voc20mix")
    chosen = parser.parse_args()
    require(PHOTOS, COCO)
    count = 10 if chosen.quick else 100
    sets = {"voc20mix": voc20mix(PHOTOS, count), "tiny_coco": tiny_coco(count)}
    sets |= {"predicted": predicted(chosen.masks)} if chosen.masks else {}
    rows, figures = [], {}
    for name, readers in READERS.items():
        for reader in readers:
            found = {
                each: equal(name, reader, photos)
                for each, photos in sets.items()
                if name != "voc-server" or photos[1] == CLASSES
            }
            cells = [
                f"{100 * found[each][0]:.2f} ({100 * found[each][1]:.2f})" if each in found else "–" for each in sets
            ]
            rows.append((name, f"{reader.distribution} {version(reader.distribution)}", *cells))
            figures[f"{name}, {reader.distribution}"] = {each: share for each, (share, _) in found.items()}
    counts = {each: (len(photos), sum(p.mask.size for p in photos.values())) for each, (photos, _) in sets.items()}
    note = "; ".join(
        f"{each}: {photos} photos, {pixels / 1e6:.1f} million pixels" for each, (photos, pixels) in counts.items()
    )
    table("Equal pixels in %, of the worst photo in brackets", ("format", "read back by", *sets), rows, note)
    print_json(figures)


if __name__ == "__main__":
    main()
