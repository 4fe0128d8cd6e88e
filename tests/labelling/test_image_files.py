import os

import numpy as np
import pytest
from PIL import Image

from tagseg.data.images import read_image
from tagseg.errors import TagsegError
from tagseg.labelling import image_files
from tagseg.labelling.image_files import image_file, transfer


def picture(mode="RGB"):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)).convert(mode)


def made(source, folder, how="link", jpeg=False):
    file = image_file(source, jpeg=jpeg)
    target = folder / f"out{file.suffix}"
    transfer(source, target, file, how)
    return target


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.bmp"])
def test_a_plain_photo_is_linked_and_not_copied(tmp_path, name):
    picture().save(tmp_path / name)
    target = made(tmp_path / name, tmp_path / "new")
    assert os.path.samefile(target, tmp_path / name)
    assert target.suffix == (tmp_path / name).suffix.lower()


def test_a_copy_shares_nothing_with_its_photo(tmp_path):
    picture().save(tmp_path / "a.jpg")
    target = made(tmp_path / "a.jpg", tmp_path / "new", "copy")
    assert not os.path.samefile(target, tmp_path / "a.jpg")
    assert target.read_bytes() == (tmp_path / "a.jpg").read_bytes()


def test_where_the_disk_has_no_links_photos_are_copied(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(18, "Invalid cross-device link")

    picture().save(tmp_path / "a.jpg")
    monkeypatch.setattr(image_files.os, "link", no_links)
    target = made(tmp_path / "a.jpg", tmp_path / "new")
    assert not os.path.samefile(target, tmp_path / "a.jpg")
    assert target.read_bytes() == (tmp_path / "a.jpg").read_bytes()


def test_a_link_to_a_photo_is_followed(tmp_path):
    picture().save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    target = made(tmp_path / "b.jpg", tmp_path / "new")
    assert not target.is_symlink()
    assert os.path.samefile(target, tmp_path / "a.jpg")


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photo_with_an_exif_rotation_is_written_upright(tmp_path, orientation):
    turned = Image.Exif()
    turned[0x0112] = orientation
    picture().save(tmp_path / "a.jpg", exif=turned)
    target = made(tmp_path / "a.jpg", tmp_path / "new")
    assert target.suffix == ".jpg"
    with Image.open(target) as image:
        assert image.getexif().get(0x0112, 1) == 1
        written = np.asarray(image.convert("RGB"), int)  # as loaders that leave out the rotation read it
    assert written.shape == read_image(tmp_path / "a.jpg").shape
    assert np.abs(written - read_image(tmp_path / "a.jpg")).mean() < 6  # JPEG of noise


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp"])
def test_other_formats_are_written_as_png(tmp_path, name):
    picture().save(tmp_path / name)
    target = made(tmp_path / name, tmp_path / "new")
    assert target.suffix == ".png"
    assert np.array_equal(np.asarray(Image.open(target)), read_image(tmp_path / name))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_what_loaders_read_differently_is_written_as_tagseg_reads_it(tmp_path, mode):
    image = Image.fromarray(np.arange(54, dtype=np.uint16).reshape(6, 9) * 900) if mode == "I;16" else picture(mode)
    image.save(tmp_path / "a.png")
    target = made(tmp_path / "a.png", tmp_path / "new")
    with Image.open(target) as written:
        assert written.mode == "RGB"
        assert np.array_equal(np.asarray(written), read_image(tmp_path / "a.png"))


def test_a_photo_with_a_wrong_ending_gets_the_right_one(tmp_path):
    picture().save(tmp_path / "a.png", format="JPEG")
    target = made(tmp_path / "a.png", tmp_path / "new")
    assert target.suffix == ".jpg"
    assert os.path.samefile(target, tmp_path / "a.png")


def test_where_only_jpeg_will_do_others_are_written_as_jpeg(tmp_path):
    picture().save(tmp_path / "a.png")
    target = made(tmp_path / "a.png", tmp_path / "new", jpeg=True)
    with Image.open(target) as image:
        assert (image.format, target.suffix) == ("JPEG", ".jpg")
    picture().save(tmp_path / "b.jpeg")
    assert os.path.samefile(made(tmp_path / "b.jpeg", tmp_path / "newer", jpeg=True), tmp_path / "b.jpeg")


def test_what_is_no_photo_is_one_clear_line(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    with pytest.raises(TagsegError, match="cannot be read as an image") as error:
        image_file(tmp_path / "a.jpg")
    assert "\n" not in str(error.value)
