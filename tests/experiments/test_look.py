"""Looking at finished runs."""

import json
import sys

import look
import numpy as np
import pytest
from PIL import Image

from tagseg.data import sources
from tagseg.training.train import train

from ..conftest import make_folder, tiny_config


@pytest.fixture
def run(tmp_path):
    root = make_folder(tmp_path / "photos")
    train(tiny_config(root, tmp_path / "variant" / "0"))
    return tmp_path / "variant" / "0"


def said(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["look.py", *map(str, words)])
    look.main()
    return capsys.readouterr().out.splitlines()


def test_it_shows_every_class_there_is_and_photos_of_all_scores(run, tmp_path, monkeypatch, capsys):
    lines = said(monkeypatch, capsys, run, run, "--output", tmp_path / "look", "--pictures", 2)
    table = json.loads(lines[-1])["by_class"]["variant 0"]
    config = look.read_config(run / "config.yaml")
    images = sources.load(config.data, "val")
    shown = {0, *(int(v) for s in images.samples for v in np.unique(s.mask()))}
    assert set(table) == {("background", *images.classes)[value] for value in shown}
    assert all(0 <= value <= 100 for value in table.values())
    assert len(lines[2].split("|")) == 5, "a column a run"
    with Image.open(tmp_path / "look" / "val.jpg") as picture:
        assert picture.size == (4 * look.CELL, 20 + 2 * look.CELL)


def test_its_mean_is_the_score_of_the_training(run):
    samples, classes, labels = look.labels_of(run, "val")
    table = look.by_class(samples, classes, labels)
    truths = [sample.mask() for sample in samples]
    for value, name in enumerate(("background", *classes)):
        both = sum(int(((a == value) & (b == value)).sum()) for a, b in zip(labels, truths, strict=True))
        either = sum(int(((a == value) | (b == value)).sum()) for a, b in zip(labels, truths, strict=True))
        if name in table:
            assert table[name] == pytest.approx(100 * both / either)


def test_a_folder_without_a_finished_training_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match=r"nothing holds no finished training"):
        said(monkeypatch, capsys, tmp_path / "nothing")
