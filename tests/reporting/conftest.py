"""A run of a tiny network whose class and photo have names that are markup."""

import csv
from pathlib import Path

import pytest

from tagseg.config import replace
from tagseg.config_file import save_config
from tagseg.data.config import DataConfig
from tagseg.data.reading import reading_of
from tagseg.data.sources import load
from tagseg.model.checkpoint import save_network
from tagseg.reporting.report import report

from ..conftest import CLASSES, make_folder, tiny_config, tiny_network

EVIL_CLASS = '<img src=x onerror="alert(1)">'
EVIL_PHOTO = "<img onerror=alert(1)>&amp;"
NAMES = (EVIL_CLASS, *CLASSES[1:])


def make_run(folder: Path, data: Path, seed: int = 0, about: dict[str, object] | None = None) -> Path:
    """A run's folder with everything that a training leaves."""
    save_network(
        tiny_network(NAMES, seed), folder / "last.safetensors", about or {"step": 6, "scores": {"val/f1": 0.5}}
    )
    own = DataConfig(source="folder", root=str(data), separator=";", classes=NAMES)
    config = replace(tiny_config(data, folder), data={"separator": ";", "classes": NAMES})
    save_config(config, folder)
    reading_of(own, {split: load(own, split) for split in ("train", "val")}).save(folder)
    logs = folder / "logs" / "part_0"
    logs.mkdir(parents=True)
    rows = [f"{step},{2 - step / 5},{0.1 * step}," for step in range(6)]
    (logs / "metrics.csv").write_text("\n".join(["step,train/classification,val/student/cam,other/rate", *rows]))
    return folder


@pytest.fixture(scope="session")
def evil_folder(tmp_path_factory) -> Path:
    """Tagged photos, five of them to score; not to be changed."""
    root = make_folder(tmp_path_factory.mktemp("evil"), train=4, val=5)
    (root / "classes.txt").unlink()
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (root / kind / f"val0.{suffix}").rename(root / kind / f"{EVIL_PHOTO}.{suffix}")
    with (root / "labels.csv").open(newline="") as file:
        rows = [[cell.replace("val0.", f"{EVIL_PHOTO}.") for cell in row] for row in csv.reader(file)]
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[EVIL_CLASS if cell == CLASSES[0] else cell for cell in row] for row in rows])
    return root


@pytest.fixture(scope="session")
def run(evil_folder, tmp_path_factory) -> Path:
    """Not to be changed."""
    return make_run(tmp_path_factory.mktemp("runs") / "one", evil_folder)


@pytest.fixture(scope="session")
def reported(run, tmp_path_factory):
    """The report of the run, without and with CRF."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    return report(run, path, scales=(1.0,), crf=True, gallery=2, quiet=True)
