"""Photos with EXIF rotation: outlines of the displayed and of the stored photo, for all orientations."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tagseg.data.coco_mask import CocoMask, CocoObject
from tagseg.data.frames import Annotated, Frames, decide_frames, notes_of_masks
from tagseg.data.images import read_image
from tagseg.data.masks import MaskFile
from tagseg.errors import TagsegError

WIDE = (60, 40)  # as stored: width, height


def photo(folder: Path, orientation: int, name: str = "a.png", size: tuple[int, int] = WIDE) -> Path:
    """Black but for a white box at the left top of the stored pixels."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[2:12, 4:34] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(folder / name, exif=exif.tobytes())
    return folder / name


def polygon(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    return np.array([left, top, right, top, right, bottom, left, bottom], np.float32)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_outlines_of_the_stored_pixels_are_turned_with_the_photo(tmp_path, orientation):
    path = photo(tmp_path, orientation)
    stored = np.asarray(Image.open(path))[..., 0] > 0
    displayed = read_image(path)[..., 0] > 0
    assert (displayed == (np.asarray(ImageOps.exif_transpose(Image.open(path)))[..., 0] > 0)).all()
    for frame, outline in (("stored", polygon(stored)), ("displayed", polygon(displayed))):
        reach = (float(outline[1::2].max()), float(outline[0::2].max()))
        size = stored.shape if frame == "stored" else displayed.shape
        assert len(size) == 2
        for setting in ("displayed", "auto") if frame == "displayed" else ("stored",):
            frames, _ = decide_frames(setting, [Annotated(path, size, reach)])
            mask = CocoMask(path, size, (CocoObject(1, (outline,)),), frames)()
            assert (mask.astype(bool) == displayed).all()


def test_swapped_sizes_are_told_apart_by_the_outlines(tmp_path):
    path = photo(tmp_path, 6)  # displayed 40 wide, 60 high
    for reach, frame in (((58.0, 30.0), "displayed"), ((30.0, 58.0), "stored")):
        frames, notes = decide_frames(
            "auto", [Annotated(path, (40, 60), reach), Annotated(path, (40, 60), (20.0, 20.0))]
        )
        assert (frames.unlike, [n.warning for n in notes]) == (frame, [False])
        assert "2 photos annotated with the width and height before their EXIF rotation" in str(notes[0])
    with pytest.raises(TagsegError, match=r"a\.png: .*fit in both frames.*--data\.frame displayed or"):
        decide_frames("auto", [Annotated(path, (40, 60), (20.0, 20.0))])
    with pytest.raises(TagsegError, match="fit in one frame for some and in the other for others"):
        decide_frames("auto", [Annotated(path, (40, 60), (58.0, 30.0)), Annotated(path, (40, 60), (30.0, 58.0))])
    frames, _ = decide_frames("displayed", [Annotated(path, (40, 60), (20.0, 20.0))])
    assert CocoMask(path, (40, 60), (), frames)().shape == (60, 40)


def test_mirrored_photos_are_warned_of_unless_others_tell_the_frame(tmp_path):
    mirrored = Annotated(photo(tmp_path, 2, "m.png"), (40, 60), (9.0, 9.0))
    frames, (note,) = decide_frames("auto", [mirrored])
    assert (frames.alike, note.warning, note.count) == ("displayed", True, 1)
    assert "--data.frame stored" in str(note)
    upright = Annotated(photo(tmp_path, 6, "u.png"), (60, 40), (9.0, 9.0))
    frames, (note,) = decide_frames("auto", [mirrored, upright])
    assert (frames.alike, note.warning) == ("displayed", False)
    stored = Annotated(photo(tmp_path, 6, "s.png"), (40, 60), (30.0, 58.0))
    frames, notes = decide_frames("auto", [mirrored, stored])
    assert (frames.alike, [n.warning for n in notes]) == ("stored", [False, False])
    assert decide_frames("stored", [mirrored])[1] == ()


def test_a_square_photo_that_is_turned_is_warned_of(tmp_path):
    path = photo(tmp_path, 8, size=(40, 40))
    _, (note,) = decide_frames("auto", [Annotated(path, (40, 40), (9.0, 9.0))])
    assert note.warning


def test_photos_without_outlines_or_damaged_ones_tell_nothing(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    photos = [Annotated(photo(tmp_path, 6), (40, 60), None), Annotated(tmp_path / "broken.jpg", (4, 6), (1.0, 1.0))]
    assert decide_frames("auto", photos) == (Frames(None, "displayed"), ())


def test_only_a_sample_of_many_photos_is_opened(tmp_path):
    path = photo(tmp_path, 3)
    _, (note,) = decide_frames("auto", [Annotated(path, (40, 60), (9.0, 9.0))] * 1200)
    assert note.count == 400
    assert "of 400 that were looked at" in str(note)


def test_the_advice_fits_the_cause(tmp_path):
    path = photo(tmp_path, 1)
    with pytest.raises(TagsegError, match=r"a\.png are of 40×60, expected .* 60×40 .*width and height are swapped"):
        CocoMask(path, (60, 40), ())()
    with pytest.raises(TagsegError, match="resize neither, or both"):
        CocoMask(path, (80, 120), ())()
    turned = photo(tmp_path, 6)
    with pytest.raises(TagsegError, match=r"--data\.frame displayed or"):
        CocoMask(turned, (40, 60), (), Frames(None, "displayed"))()
    with pytest.raises(TagsegError, match=r"60×40 \(width×height as stored\).*set --data\.frame displayed"):
        CocoMask(turned, (60, 40), (), Frames("stored", "stored", "stored"))()


def test_an_image_of_unknown_size_is_drawn_at_its_own(tmp_path):
    assert CocoMask(photo(tmp_path, 1), None, ())().shape == (40, 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_mask_files_of_the_stored_pixels_are_turned_with_the_photo(tmp_path, orientation):
    path = photo(tmp_path, orientation)
    stored, displayed = np.asarray(Image.open(path))[..., 0] > 0, read_image(path)[..., 0] > 0
    for frame, mask, other in (("stored", stored, displayed), ("displayed", displayed, stored)):
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "m.png")
        read = MaskFile(tmp_path / "m.png", path, 1, frame="stored" if frame == "stored" else "displayed")
        assert (read().astype(bool) == displayed).all()
        if mask.shape != other.shape:
            Image.fromarray(other.astype(np.uint8)).save(tmp_path / "m.png")
            with pytest.raises(TagsegError, match=r"EXIF rotation.*--data\.frame stored"):
                read()


def test_mirrored_photos_with_mask_files_are_warned_of(tmp_path):
    mirrored, mask = photo(tmp_path, 2, "m.png"), photo(tmp_path, 1, "mask.png")
    (note,) = notes_of_masks("auto", [(mirrored, mask), (photo(tmp_path, 1, "u.png"), mask)])
    assert (note.count, note.warning) == (1, True)
    assert "masks taken to be as displayed (if they were drawn on the stored pixels" in str(note)
    upright = (photo(tmp_path, 6, "r.png"), photo(tmp_path, 1, "tall.png", (40, 60)))
    assert [n.warning for n in notes_of_masks("auto", [(mirrored, mask), upright])] == [False]
    assert notes_of_masks("stored", [(mirrored, mask)]) == ()
    (tmp_path / "broken.png").write_bytes(b"no photo")
    assert notes_of_masks("auto", [(tmp_path / "broken.png", mask)]) == ()
