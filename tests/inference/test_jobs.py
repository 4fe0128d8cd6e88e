"""Which files of a folder are predicted; what was left out is told."""

from pathlib import Path

import pytest
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.inference.jobs import _stem, jobs_of


def picture(path, form=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path, format=form)
    return path


def test_photos_of_any_ending_and_notes_on_the_rest(tmp_path):
    photos = tmp_path / "photos"
    for name, form in (("a.jfif", "JPEG"), ("b.ppm", "PPM"), ("c", "PNG")):
        picture(photos / name, form)
    (photos / "notes.txt").write_text("letters")
    (photos / "gone.jpg").symlink_to("nowhere")
    jobs = jobs_of(photos, tmp_path / "out")
    assert [name for _, name in jobs.named] == ["a", "b", "c"]
    assert [str(note) for note in jobs.notes] == [
        "1 links to nowhere, left out: gone.jpg",
        "1 text files, left out: notes.txt",
    ]


def test_what_an_earlier_run_wrote_below_the_photos_is_neither_predicted_nor_told(tmp_path):
    picture(tmp_path / "a.jpg")
    for name in ("masks/a.png", "overlays/a.jpg"):
        picture(tmp_path / "out" / name)
    picture(tmp_path / "out" / "yolo" / "images" / "a.jpg")
    (tmp_path / "out" / "scores").mkdir()
    (tmp_path / "out" / "scores" / "a.npz").write_bytes(b"PK")
    for name in ("classes.csv", "predictions.csv", "data.json", "coco.json", "labelstudio.xml", "cvat.zip"):
        (tmp_path / "out" / name).write_text("{}")
    jobs = jobs_of(tmp_path, tmp_path / "out")
    assert [name for _, name in jobs.named] == ["a"]
    assert jobs.notes == ()


def test_a_file_of_the_results_is_no_input(tmp_path):
    photo = picture(tmp_path / "coco.json", "PNG")
    with pytest.raises(TagsegError, match=r"coco\.json is an input and would be overwritten"):
        jobs_of(photo, tmp_path)


def test_a_file_that_is_named_is_tried_whatever_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("letters")
    assert jobs_of(tmp_path / "notes.txt", tmp_path / "out").named == [(tmp_path / "notes.txt", "notes")]


def test_nothing_to_predict(tmp_path):
    (tmp_path / "notes.txt").write_text("letters")
    with pytest.raises(TagsegError, match=r"no image in .* \(1 text files, left out: notes.txt\), expected"):
        jobs_of(tmp_path, tmp_path / "out")
    with pytest.raises(TagsegError, match=r"gone\.jpg does not exist"):
        jobs_of(tmp_path / "gone.jpg", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.b.jpg", "sub.x/a", ".a.jpg", "a..jpg", "sub/.b/c.d", "a", "x.y/.jpg"])
def test_names_of_outputs_are_those_without_the_last_extension(name):
    assert _stem(name) == Path(name).with_suffix("").as_posix()
