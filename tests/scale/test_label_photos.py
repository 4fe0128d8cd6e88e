import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.images import read_image
from tagseg.errors import TagsegError
from tagseg.inference.predictor import Predictor
from tagseg.scale.label_photos import LabelPhotos

FAST: dict[str, Any] = {"scales": (1.0,), "mirror": False, "device": "cpu"}


def test_a_batch_of_paths_gets_masks_shares_and_errors(run, photos):
    (photos / "cut.jpg").write_bytes(b"no photo")
    paths = [photos / "b.jpg", photos / "cut.jpg", photos / "sub" / "d.jpg"]
    given = [str(paths[0]), bytes(paths[1]), paths[2]]
    found = LabelPhotos(run, **FAST)({"path": np.array(given, object), "id": np.arange(3)})
    assert found["id"].tolist() == [0, 1, 2]
    assert "cut.jpg" in found["error"][1]
    assert (found["mask"][1], found["shares"][1]) == (b"", "")
    for index in (0, 2):
        expected = Predictor(run, **FAST)(paths[index])
        with Image.open(io.BytesIO(found["mask"][index])) as mask:
            assert np.array_equal(np.asarray(mask), expected.mask)
            assert mask.mode == "P"
        assert json.loads(found["shares"][index]) == expected.shares()
        assert found["error"][index] == ""


def test_a_batch_of_pixels_gives_the_same(run, photos):
    pixels = np.stack([read_image(photos / name) for name in ("a.png", "b.jpg")])
    step = LabelPhotos(run, column="image", **FAST)
    found = step({"image": pixels})
    assert found["mask"] == LabelPhotos(run, **FAST)({"path": [photos / "a.png", photos / "b.jpg"]})["mask"]
    wrong = step({"image": [pixels[0].astype(np.float32)]})
    assert "expected uint8 (height, width, 3)" in wrong["error"][0]


def test_a_batch_without_the_column_is_one_line(run):
    with pytest.raises(TagsegError, match="no column 'path', expected one of photos among image, id: name it with"):
        LabelPhotos(run, **FAST)({"image": [], "id": []})
