"""What is seen of each photo: that a file is read to its end, and what is the same in two."""

import numpy as np
import pytest
from PIL import Image

from tagseg.check.photos import read_photos
from tagseg.data.dataset import Sample, TaggedImages

from .conftest import photo


def read(*files):
    samples = tuple(Sample(file.name, file, ()) for file in files)
    return read_photos({"train": TaggedImages("photos", (), samples, "")}, quiet=True)


@pytest.mark.parametrize("format", ["jpg", "progressive.jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("cut", [3, 0.02, 0.5])
def test_a_file_that_ends_too_early_is_noticed_though_it_is_decoded_small(tmp_path, format, cut):
    path = tmp_path / f"photo.{format}"
    photo(1, (300, 400)).save(path, progressive="progressive" in format)
    [whole] = read(path)
    assert whole.error == ""
    assert whole.size == (300, 400)
    content = path.read_bytes()
    path.write_bytes(content[: -(cut if cut > 1 else int(cut * len(content)))])
    [short] = read(path)
    ends_with_a_checksum = format == "png" and cut > 1  # without which the pixels are whole
    assert bool(short.error) != ends_with_a_checksum


def test_copies_have_one_content_and_near_copies_look_alike(tmp_path):
    files = [tmp_path / f"{name}.jpg" for name in ("a", "copy", "saved again", "other")]
    photo(1, (300, 400)).save(files[0], quality=95)
    files[1].write_bytes(files[0].read_bytes())
    photo(1, (300, 400)).resize((320, 240)).save(files[2], quality=60)
    photo(2, (300, 400)).save(files[3])
    a, copy, again, other = read(*files)
    assert a.content == copy.content != again.content
    assert int.bit_count(a.looks ^ again.looks) <= 6 < int.bit_count(a.looks ^ other.looks)


def test_one_colour_is_blank_and_a_dark_photo_is_not(tmp_path):
    files = [tmp_path / "white.png", tmp_path / "dark.png"]
    Image.new("RGB", (90, 80), "white").save(files[0])
    Image.fromarray(np.asarray(photo(1)) // 16).save(files[1])
    assert [seen.blank for seen in read(*files)] == [True, False]


def test_a_size_is_that_of_the_photo_as_displayed(tmp_path):
    image, exif = photo(1, (90, 120)), Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read(tmp_path / "turned.jpg")[0].size == (120, 90)


def test_a_file_that_is_gone_or_a_folder_is_an_error_and_not_the_end(tmp_path):
    gone, folder = read(tmp_path / "gone.jpg", tmp_path)
    assert gone.error
    assert folder.error


def test_a_file_of_two_splits_is_read_once(tmp_path):
    photo(1).save(tmp_path / "a.jpg")
    sample = Sample("a", tmp_path / "a.jpg", ())
    images = TaggedImages("photos", (), (sample,), "")
    first, second = read_photos({"train": images, "val": images}, quiet=True)
    assert (first.split, second.split) == ("train", "val")
    assert first.content == second.content
