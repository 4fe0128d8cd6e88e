import math

import numpy as np
import pytest
from PIL import Image

from tagseg.reviewing import outputs
from tagseg.reviewing.measure import NAMES, Measured
from tagseg.reviewing.queue import Reviewed


def reviewed(image, why="nothing stands out"):
    return Reviewed(image, image.stem, 0.4, 0.6, dict.fromkeys(NAMES, math.nan) | {"entropy": 0.25}, why)


def measured(shape=(16, 24)):
    labels = np.zeros(shape, np.uint8)
    labels[4:12, 6:18] = 2
    return Measured({}, labels, None, np.zeros(3, np.float32))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (480, 320), (40, 80, 120)).save(path)
    return path


def test_the_sheet_shows_photo_and_mask(tiny, photo, tmp_path):
    path = outputs.save_sheet(tmp_path / "sheet.png", [reviewed(photo)], [7], {7: measured()}, tiny)
    assert path == tmp_path / "sheet.png"
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {tuple(colour) for colour in np.array(sheet.convert("RGB")).reshape(-1, 3).tolist()}
    assert (40, 80, 120) in colours, "the photo where nothing was found"
    assert tuple(tiny.colours[2]) in colours, "the outline of what was found"


def test_a_photo_that_is_gone_is_left_out(tiny, photo, tmp_path, caplog):
    gone = tmp_path / "gone.png"
    both = [reviewed(gone), reviewed(photo)]
    assert outputs.save_sheet(tmp_path / "sheet.png", both, [0, 1], {0: measured(), 1: measured()}, tiny) is not None
    assert "gone.png" in caplog.text
    assert "not on the contact sheet" in caplog.text
    assert outputs.save_sheet(tmp_path / "none.png", both[:1], [0], {0: measured()}, tiny) is None
    assert not (tmp_path / "none.png").exists()


def test_a_caption_says_what_differs_on_two_lines():
    why = "prediction and tags differ: person is tagged, not found; bottle, diningtable are found, not tagged"
    assert outputs._lines(why).splitlines() == [
        "person is tagged, not found;",
        "bottle, diningtable are found, not tagged",
    ]
    assert outputs._lines("nothing stands out").strip() == "nothing stands out"


def test_what_is_not_known_is_an_empty_cell(photo, tmp_path):
    outputs.save_table(tmp_path / "review.csv", [reviewed(photo, "a, b")])
    header, row = (tmp_path / "review.csv").read_text("utf-8").splitlines()
    assert header.startswith("rank,image,score,estimated_iou,why,entropy,expected_iou")
    assert row == f'1,{photo},0.4000,0.6000,"a, b",0.2500' + "," * (len(NAMES) - 1)
