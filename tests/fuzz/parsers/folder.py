"""A folder of data: photos, and one file beside them under a usual name; its layout is found, as by every verb."""

from __future__ import annotations

from pathlib import Path
from random import Random

from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.sources import load

from ..parser import Case, Parser
from .classes import PARSERS as CLASSES
from .coco import PARSERS as COCO
from .tables import PARSERS as TABLES
from .tools import PARSERS as TOOLS
from .values import ENDINGS, STEMS

TAGS = ("labels.csv", "tags.json", "labels.jsonl", "_classes.csv", "labels.tsv")
BESIDE = ("classes.txt", "classes.yaml", "class_map.yaml", "labelmap.txt", "split.csv")
"""Files that lie beside tags."""
PLAIN = "image,labels\n" + "".join(f"{stem}{number}.jpg,cat;dog\n" for number, stem in enumerate(STEMS))
PHOTOS = tuple(f"{stem}{number}{ending}" for number, stem in enumerate(STEMS) for ending in ENDINGS[:1])

Read = tuple[tuple[str, ...], tuple[tuple[str, tuple[int, ...]], ...]]


def _case(rng: Random) -> Case:
    family = rng.choice((TABLES[:3], COCO[:1], TOOLS, CLASSES))
    other = rng.choice(family).valid(rng)
    usual = TAGS if family[0] in TABLES else BESIDE if family is CLASSES else (other.name,)
    ending = [name for name in usual if name.endswith(Path(other.name).suffix)]
    return Case(rng.choice(ending or usual), other.content)


def _read(path: Path) -> Read:
    for name in PHOTOS:
        if not (path.parent / name).exists():
            Image.new("RGB", (8, 8)).save(path.parent / name)
    tags = path.parent / "labels.csv"
    if path.name not in BESIDE:
        return _loaded(path)
    tags.write_text(PLAIN)
    try:
        return _loaded(path)
    finally:
        tags.unlink()


def _loaded(path: Path) -> Read:
    config = DataConfig(root=str(path.parent), skip_missing=True, val_split="", splits="none")
    images = load(config, "train", masks=True)
    for sample in images.samples:
        if sample.mask is not None:
            sample.mask()
    return images.classes, tuple((sample.name, tuple(sample.tags)) for sample in images.samples)


def _fits(value: Read, case: Case) -> str:
    classes, samples = value
    odd = [name for name, tags in samples if any(not 0 <= tag < len(classes) for tag in tags)]
    return f"{odd[0]} has a tag that is no class" if odd else ""


PARSERS = (Parser("folder", _case, _read, (), _fits, pool=200, quiet=False),)
