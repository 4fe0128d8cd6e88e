"""``train`` of voc20mix in two parts: ``fit`` to train on, and ``dev``, whose masks serve to choose settings alone."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from tagseg.config import Config, replace


def with_dev_split(config: Config, folder: Path) -> Config:
    """Train on four fifths of the training images, chosen by their names, and score on the others.

    Writes a tags file with both splits and ``val`` to ``folder``; the photos are not copied.
    """
    table = Path(config.data.root) / "labels.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in (config.data.train_split, config.data.val_split)]
    path = folder / f"{Path(config.data.root).name}_dev.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "labels", "split"))
        for row in rows:
            trained = row["split"] == config.data.train_split
            writer.writerow((row["image"], row["labels"], side_of(row["image"]) if trained else row["split"]))
    return replace(config, data={"tags": str(path.resolve()), "train_split": "fit", "val_split": "dev"})


def side_of(image: str) -> str:
    """``dev`` for a fifth of all names."""
    place = int.from_bytes(hashlib.blake2b(f"dev {image}".encode(), digest_size=4).digest(), "big") / 2**32
    return "dev" if place < 0.2 else "fit"
