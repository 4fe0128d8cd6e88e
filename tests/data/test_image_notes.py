"""What is said, before any training, of images that are not read literally."""

from pathlib import Path

import numpy as np
from PIL import Image

from tagseg.data import image_notes as image_notes_file
from tagseg.data.dataset import Sample
from tagseg.data.image_notes import image_notes
from tagseg.data.pixels import FEWER_BITS, NO_TRANSPARENCY


def sample(path: Path, pixels: np.ndarray) -> Sample:
    Image.fromarray(pixels).save(path)
    return Sample(path.stem, path, ())


def test_images_that_are_read_as_they_are_give_no_note_and_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(image_notes_file, "read_picture", None)
    grey = np.zeros((4, 5), np.uint8)
    samples = [sample(tmp_path / f"a.{ending}", grey) for ending in ("png", "jpg", "tif", "gif")]
    assert image_notes(samples) == ()
    assert image_notes([]) == ()


def test_each_kind_is_counted_and_named(tmp_path):
    deep, clear = np.full((4, 5), 4000, np.uint16), np.zeros((4, 5, 4), np.uint8)
    samples = [sample(tmp_path / f"deep{index}.png", deep) for index in range(4)]
    samples += [sample(tmp_path / "clear.png", clear)]
    found = {note.text: note for note in image_notes(samples)}
    assert {text: note.count for text, note in found.items()} == {FEWER_BITS.format(12): 4, NO_TRANSPARENCY: 1}
    assert found[FEWER_BITS.format(12)].examples == ("deep0", "deep1", "deep2")


def test_of_many_a_sample_is_looked_at_and_the_note_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(image_notes_file, "LOOKED_AT", 4)
    samples = [sample(tmp_path / f"{index}.png", np.full((2, 2), 900, np.uint16)) for index in range(8)]
    (note,) = image_notes(samples)
    assert (note.count, note.text) == (4, f"{FEWER_BITS.format(10)} (of 4 that were looked at)")


def test_damaged_images_are_left_to_their_reader(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    assert image_notes([Sample("a", tmp_path / "a.png", ()), Sample("b", tmp_path / "absent.png", ())]) == ()
