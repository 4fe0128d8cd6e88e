"""Ultralytics' labels: polygons with an area inside the photo, links to the photos, data.yaml."""

import os

import numpy as np
import pytest
import yaml
from PIL import Image

from .conftest import Photo, drawn, nasty, with_files, write


def polygons(path) -> list[tuple[int, np.ndarray]]:
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(int(label), np.array(values, float).reshape(-1, 2)) for label, *values in lines]


def test_a_folder_to_train_on(photos, tmp_path):
    folder = write("yolo", photos, tmp_path / "out") / "yolo"
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert data == {"train": "images", "val": "images", "names": {0: "cat", 1: "traffic light", 2: 'say "é" <&>'}}
    for name, photo in photos.items():
        image = folder / "images" / f"{name}.png"
        assert image.is_symlink()
        assert image.samefile(photo.path)
        assert (folder / "labels" / f"{name}.txt").is_file()
    assert (folder / "labels" / "nothing.txt").read_text() == ""


@pytest.mark.parametrize("name", nasty())
def test_every_polygon_has_three_points_and_an_area_within_the_photo(name, photos, tmp_path):
    folder = write("yolo", {name: photos[name]}, tmp_path / "out")
    found = polygons(folder / "yolo" / "labels" / f"{name}.txt")
    assert {label + 1 for label, _ in found} == set(np.unique(photos[name].mask).tolist()) - {0, 255}
    for _, points in found:
        assert len(points) >= 3
        assert ((points > 0) & (points < 1)).all()
        assert (np.ptp(points, axis=0) > 0).all(), "a box without an area"


def test_both_ways_of_rounding_find_the_pixels(tmp_path):
    photos = with_files({"a": drawn("00000 01110 00010 00000")}, tmp_path / "photos")
    ((label, points),) = polygons(write("yolo", photos, tmp_path / "out") / "yolo" / "labels" / "a.txt")
    pixels = points * [5, 4]
    assert label == 0
    assert np.floor(pixels).tolist() == np.round(pixels).tolist()
    assert {tuple(pixel) for pixel in np.floor(pixels).tolist()} == {(1, 1), (2, 1), (3, 1), (3, 2)}


def test_a_photo_that_lies_where_its_link_would_be_is_kept(tmp_path):
    images = tmp_path / "out" / "yolo" / "images"
    photos = with_files({"a": drawn("11 10")}, images)
    before = (images / "a.png").read_bytes()
    write("yolo", photos, tmp_path / "out")
    assert not (images / "a.png").is_symlink()
    linked = {"a": Photo(drawn("11 10"), images / "link.png")}
    (images / "link.png").symlink_to(images / "a.png")
    write("yolo", {"link": linked["a"]}, tmp_path / "out")
    assert os.readlink(images / "link.png") == str(images / "a.png")
    assert (images / "a.png").read_bytes() == before


def test_a_second_run_renews_the_links(photos, tmp_path):
    write("yolo", photos, tmp_path / "out")
    other = with_files({"one": nasty()["one"]}, tmp_path / "other")
    write("yolo", other, tmp_path / "out")
    assert (tmp_path / "out/yolo/images/one.png").samefile(tmp_path / "other/one.png")


def test_a_file_system_without_links_gets_copies(photos, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    write("yolo", {"one": photos["one"]}, tmp_path / "out")
    image = tmp_path / "out/yolo/images/one.png"
    assert not image.is_symlink()
    with Image.open(image) as picture:
        assert picture.size == (1, 1)
