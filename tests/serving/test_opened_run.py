"""Which runs can be corrected; the others are refused with what is wrong and the way out."""

import shutil
from typing import Any

import pytest

from tagseg.config import replace
from tagseg.config_file import read_config, save_config
from tagseg.serving.opened_run import OpenedRun

from ..conftest import CLASSES, assert_refused, make_folder, tiny_config


def test_a_finished_run(run):
    opened = OpenedRun.of(run)
    assert opened.network.classes == CLASSES
    assert len(opened.images) == 6
    assert opened.network_file == run / "last.safetensors"
    assert opened.share is None
    features = opened.features()
    assert len(features) == 6
    assert features.cuts is not None
    assert features.cuts.shape == (6, 8, 8)


def test_features_at_hand_are_not_computed_again(run, monkeypatch):
    opened = OpenedRun.of(run)
    monkeypatch.setattr(opened.network.encoder, "forward", lambda *_: pytest.fail("an encoder pass"))
    opened.features()


def test_what_is_no_run(tmp_path):
    assert_refused(lambda: OpenedRun.of(tmp_path / "none"), "none", "no such folder")
    assert_refused(lambda: OpenedRun.of(tmp_path), str(tmp_path), "config.yaml", "train")


@pytest.mark.usefixtures("unchecked")
def test_a_path_of_another_kind():
    number: Any = 7
    assert_refused(lambda: OpenedRun.of(number), "run is 7", "folder")


def test_a_run_that_is_not_finished(run):
    (run / "last.safetensors").unlink()
    assert_refused(lambda: OpenedRun.of(run), "not finished", f"tagseg train --resume {run}")


def test_a_run_of_another_method(tagged_folder, tmp_path):
    save_config(tiny_config(tagged_folder, tmp_path / "run"), tmp_path / "run")
    assert_refused(lambda: OpenedRun.of(tmp_path / "run"), "'fsr'", "expected 'frozen'")


def test_a_run_on_masks(run):
    save_config(replace(read_config(run / "config.yaml"), labels={"source": "masks"}), run)
    assert_refused(lambda: OpenedRun.of(run), "ground-truth masks", "spectral")


def test_photos_that_are_gone(run, tmp_path):
    save_config(replace(read_config(run / "config.yaml"), data={"root": str(tmp_path / "gone")}), run)
    assert_refused(lambda: OpenedRun.of(run), "gone")


def test_other_classes(run, tmp_path):
    data = make_folder(tmp_path / "data")
    (data / "classes.txt").write_text("\n".join([*CLASSES, "star"]))
    save_config(replace(read_config(run / "config.yaml"), data={"root": str(data)}), run)
    assert_refused(lambda: OpenedRun.of(run), "3 classes", "4", "train again")


def test_a_share_that_was_set(run):
    save_config(replace(read_config(run / "config.yaml"), labels={"foreground_share": 0.3}), run)
    assert OpenedRun.of(run).share == 0.3


def test_a_moved_run_finds_the_features_beside_it(run, tmp_path, monkeypatch):
    shutil.move(run.parent, tmp_path / "moved")
    opened = OpenedRun.of(tmp_path / "moved" / run.name)
    monkeypatch.setattr(opened.network.encoder, "forward", lambda *_: pytest.fail("an encoder pass"))
    assert len(opened.features()) == 6
