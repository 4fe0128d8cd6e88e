"""Measure disk and peak memory of ``predict`` in every format.

Needs the development data (``../shared/data/voc20mix``). The photos are those of voc20mix, at most 256 pixels wide and
high, under new names as often as needed; the network sees them at one scale, as the formats are measured here and not
the network. A process of its own predicts each number of photos in all formats at once; if memory is
bounded, its peak does not grow with them. About ten minutes on 2 cores:

    python benchmarks/formats.py --model runs/voc20mix

Without ``--model``: DeiT-Ti with ImageNet weights and random heads, whose masks are noise, so that files are larger.
Prints a table and, last, one line of JSON. ``--quick``: fewer photos, about a minute.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from predict import network_of
from shared import PHOTOS, arguments_of, machine, print_json, require, table
from tagseg.data.listing import list_photos, photo_paths
from tagseg.formats.settings import FormatSettings
from tagseg.inference.predict import predict

ALL = ("png", "coco", "coco-polygons", "yolo", "labelstudio", "cvat", "npz", "voc-server")
OUTPUTS = {
    "png": "masks", "coco": "coco.json", "coco-polygons": "coco_polygons.json", "yolo": "yolo/labels",
    "labelstudio": "labelstudio.json", "cvat": "cvat.zip", "npz": "scores", "voc-server": "voc_server.tgz",
}  # fmt: skip
SCORES_AS = ("float16", "uint8", "top3", "top1")
FAST: dict[str, Any] = {"scales": (1.0,), "mirror": False, "overlays": False, "quiet": True}


def linked(count: int, folder: Path) -> Path:
    """A folder of links to so many photos, those of voc20mix again and again."""
    every = photo_paths(list_photos(PHOTOS / "JPEGImages"))
    folder.mkdir()
    for number in range(count):
        (folder / f"photo_{number:05}.jpg").symlink_to(every[number % len(every)].resolve())
    return folder


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(each.stat().st_size for each in path.rglob("*.*"))


def predicted(model: str | None, count: int, formats: tuple[str, ...], scores_as: str) -> dict[str, float]:
    """Bytes a photo of each format, and this process's peak memory in megabytes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        photos = linked(count, folder / "photos")
        (folder / "split.txt").write_text("".join(f"{path.stem}\n" for path in sorted(photos.iterdir())))
        settings = FormatSettings(scores_as=scores_as, voc_split=str(folder / "split.txt"))
        predict(network_of(model), photos, folder / "out", format=formats, format_settings=settings, **FAST)
        figures = {name: size_of(folder / "out" / OUTPUTS[name]) / count for name in formats}
    return {**figures, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measured(model: str | None, count: int, formats: tuple[str, ...], scores_as: str = "uint8") -> dict[str, float]:
    """The same in a process of its own."""
    words = [str(count), ",".join(formats), scores_as, *([model] if model else [])]
    run = subprocess.run([sys.executable, __file__, "--measure", *words], stdout=subprocess.PIPE, check=True, text=True)
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Run the measurements and print them."""
    parser = arguments_of(__doc__, "fewer photos, about a minute")
    parser.add_argument("--model", help="run folder or .safetensors file of VOC's 20 classes")
    chosen = parser.parse_args()
    require(PHOTOS)
    few, many = (20, 60) if chosen.quick else (250, 2000)
    small, large = measured(chosen.model, few, ALL), measured(chosen.model, many, ALL)
    rows = [(name, OUTPUTS[name], f"{large[name] / 1000:.1f}") for name in ALL]
    table(f"Disk, {many} photos", ("format", "file", "kB a photo"), rows, machine())
    scores = {name: measured(chosen.model, few, ("npz",), name)["npz"] for name in SCORES_AS}
    table("Scores of 21 labels", ("scores_as", "kB a photo"), [(k, f"{v / 1000:.1f}") for k, v in scores.items()])
    peaks = [(few, f"{small['peak_mb']:.0f}"), (many, f"{large['peak_mb']:.0f}")]
    table("Peak memory, all formats at once", ("photos", "MB"), peaks)
    print_json({
        "photos": many, "bytes_a_photo": {name: round(large[name]) for name in ALL},
        "scores_bytes_a_photo": {name: round(value) for name, value in scores.items()},
        "peak_mb": {str(few): round(small["peak_mb"]), str(many): round(large["peak_mb"])},
    })  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        count, formats, scores_as, *model = sys.argv[2:]
        print(json.dumps(predicted(model[0] if model else None, int(count), tuple(formats.split(",")), scores_as)))
    else:
        main()
