import shutil

import numpy as np
import pytest
from PIL import Image

from tagseg.exporting.graph import ExportGraph
from tagseg.exporting.photos import random_images, sample_photos

from ..conftest import assert_refused


def test_photos_of_the_run(run_folder, tagged_folder, tmp_path):
    photos = sample_photos(run_folder, None, tmp_path)
    assert photos is not None
    assert sorted(path.name for path in photos.paths) == ["val0.jpg", "val1.jpg"]
    assert [photo.shape for photo in photos] == [(40, 48, 3)] * 2 == [photo.shape for photo in photos]
    assert photos == sample_photos(run_folder / "last.safetensors", None, tmp_path), "beside its configuration"


def test_given_photos_are_taken_evenly(tmp_path):
    for index in range(50):
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / f"{index:02}.png")
    photos = sample_photos("nowhere", tmp_path, tmp_path / "output")
    assert photos is not None
    assert len(photos) == 20
    assert [path.stem for path in photos.paths][:3] == ["00", "02", "05"]
    assert_refused(lambda: sample_photos("nowhere", tmp_path / "absent", tmp_path), "absent")


def test_photos_that_are_gone(run_folder, tmp_path, tiny, caplog):
    assert sample_photos(tiny, None, tmp_path) is None
    assert sample_photos(tmp_path / "alone.safetensors", None, tmp_path) is None
    config = (run_folder / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(config.replace("root: ", "root: /nowhere"))
    with caplog.at_level("INFO", "tagseg"):
        assert sample_photos(tmp_path, None, tmp_path) is None
    assert "the photos of the run are not there (" in caplog.text
    shutil.rmtree(tmp_path)


def test_random_images_have_other_shapes_than_the_example(tiny):
    graph = ExportGraph(tiny)
    images = list(random_images(graph))
    assert all(np.array_equal(one, again) for one, again in zip(images, random_images(graph), strict=True))
    sizes = [graph.input_size(*image.shape[:2]) for image in images]
    assert len(set(sizes)) == 3
    assert tuple(graph.example().shape[1:3]) not in sizes
    assert all(image.std() > 10 for image in images)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("given", [[], 3])
def test_no_photos_given(given, tmp_path):
    assert_refused(lambda: sample_photos("nowhere", given, tmp_path), "expected")
