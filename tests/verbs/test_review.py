import csv

import pytest

from tagseg.cli import main
from tagseg.config_file import save_config
from tagseg.model.checkpoint import save_network

from ..conftest import tiny_config

pytestmark = pytest.mark.slow
FAST = ("--scales", "[1.0]", "--labels", "false")


@pytest.fixture(scope="module")
def run(tiny, tagged_folder, tmp_path_factory):
    """The folder of a run on the tagged photos."""
    folder = tmp_path_factory.mktemp("run")
    save_network(tiny, folder / "last.safetensors")
    save_config(tiny_config(tagged_folder, folder), folder)
    return folder


def rows_of(output):
    with (output / "review.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_photos_are_reviewed_without_tags_wherever_they_stand(run, tagged_folder, tmp_path, capsys):
    photos = [str(tagged_folder / "images" / f"{name}.jpg") for name in ("val0", "val1")]
    assert main(["review", str(run), photos[0], "--output", str(tmp_path), *FAST, photos[1]]) == 0
    rows = rows_of(tmp_path)
    assert sorted(row["image"] for row in rows) == photos
    assert {row["tags"] for row in rows} == {""}
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("estimated mean IoU of 2 photos: ")
    assert second.startswith(f"correct first: {rows[0]['image']} (")


def test_without_photos_those_of_the_run_are_taken(run, tmp_path):
    assert main(["review", str(run), "--output", str(tmp_path), *FAST, "--sheet", "0"]) == 0
    rows = rows_of(tmp_path)
    assert len(rows) == 8
    assert all(row["tags"] for row in rows)
    assert main(["review", str(run), "--output", str(tmp_path), *FAST, "--split", "val", "--sheet", "0"]) == 0
    assert len(rows_of(tmp_path)) == 2


def test_data_tell_the_tags_of_photos(run, tagged_folder, tmp_path):
    arguments = [str(run), str(tagged_folder / "images" / "val0.jpg"), "--data.root", str(tagged_folder)]
    assert main(["review", *arguments, "--output", str(tmp_path), *FAST]) == 0
    (row,) = rows_of(tmp_path)
    assert row["tags"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "photos"], "nowhere: no such file or folder"),
        (["RUN", "nowhere.jpg"], "the image nowhere.jpg does not exist"),
        (["RUN", "--data.root", "absent"], "absent"),
        (["RUN", "--split", "test"], "test"),
        (["RUN", "--sheet", "many"], "sheet"),
        (["RUN", "--scale", "1"], "did you mean --scales?"),
        ([], "model"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    given = [str(run) if word == "RUN" else word for word in arguments]
    assert main(["review", *given]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("tagseg: error: ")
    assert message in lines[-1]
    assert not (tmp_path / "review").exists()


def test_a_network_alone_has_no_photos_of_its_own(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_network(tiny, tmp_path / "alone.safetensors")
    assert main(["review", "alone.safetensors"]) == 2
    assert "there are no photos to review, expected image files or folders" in capsys.readouterr().err
