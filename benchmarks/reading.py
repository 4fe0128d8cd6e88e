"""Measure what reading data and holding tags against masks cost.

    python benchmarks/reading.py [--quick]

Reads the tag file of PASCAL VOC 2012 (12,031 rows, no photos), then scores an untrained DeiT-Ti on ``val`` of
voc12_animals at one scale by ``evaluate``, in which masks are held against tags, and times the holding alone.
Development data needed. ``--quick``: 40 photos. Prints a table and, last, one line of JSON: ``rows_seconds`` (median of
nine), ``comparison_share`` (of ``evaluate``'s time, 0 to 1), both of processor time.
"""

from __future__ import annotations

from shared import ANIMALS, SHARED, WEIGHTS, arguments_of, machine, print_json, processor_seconds, require, table
from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.tags import read_tags
from tagseg.data.tags_and_masks import TagsAgainstMasks, judge
from tagseg.inference.evaluate import evaluate
from tagseg.model.network import Network
from tagseg.presets import PRESETS

ROWS = SHARED / "data" / "voc12_tags" / "labels.csv"


def main() -> None:
    """Measure and print."""
    arguments = arguments_of(__doc__, "40 photos").parse_args()
    require(ANIMALS, ROWS, WEIGHTS)
    rows = processor_seconds(lambda: read_tags(ROWS), times=9)
    network = {"encoder": "deit_tiny_patch16_224", "weights": str(WEIGHTS)}
    config = replace(PRESETS["frozen"](), data={"root": str(ANIMALS)}, network=network)
    images = sources.load(config.data, config.data.val_split).with_masks().first(40 if arguments.quick else 0)
    untrained = Network(config.network, images.classes)
    masks = [(sample, sample.mask()) for sample in images.samples if sample.mask is not None]

    def compare() -> None:
        collected = TagsAgainstMasks(images)
        for sample, mask in masks:
            collected.add(sample, mask)
        judge(collected.comparison(), "stop")

    whole = processor_seconds(lambda: evaluate(untrained, config.data, scales=(1.0,), limit=len(images), quiet=True))
    comparing = processor_seconds(compare, times=5)
    table(
        f"{len(images)} photos, {machine()}",
        ("what", "seconds"),
        [("tag file of 12,031 rows", f"{rows:.3f}"), ("evaluate", f"{whole:.1f}"), ("of it, tags against masks",
         f"{comparing:.3f}")],
    )  # fmt: skip
    print_json({"rows_seconds": round(rows, 3), "comparison_share": round(comparing / whole, 5), "photos": len(images)})


if __name__ == "__main__":
    main()
