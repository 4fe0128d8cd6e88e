import numpy as np
import pytest
from PIL import Image, ImageFont

from tagseg.data.palette import colour
from tagseg.errors import TagsegError
from tagseg.inference.contact_sheet import MOST, Tile, contact_sheet, draw_contact_sheet
from tagseg.inference.export import shortened


def grey(height, width):
    return np.full((height, width, 3), 120, np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7, MOST])
def test_the_sheet_has_a_square_for_each_tile_and_is_bounded(count):
    sheet = draw_contact_sheet((Tile(grey(30, 40), None, str(n)) for n in range(count)), tile=64)
    assert sheet.width * sheet.height >= count * 64 * 64
    assert max(draw_contact_sheet([Tile(grey(4, 4))] * count).size) < 4_000


@pytest.mark.parametrize("size", [(1, 3_000), (3_000, 1), (1, 1), (37, 50), (500, 375)])
def test_photos_of_any_aspect_ratio_are_drawn_whole_in_their_square(size):
    photo = np.zeros((*size, 3), np.uint8)
    sheet = np.asarray(draw_contact_sheet([Tile(photo, np.zeros(size, np.uint8))], tile=100))
    black = np.argwhere((sheet == 0).all(axis=2))
    height, width = black.max(axis=0) - black.min(axis=0) + 1
    assert max(height, width) == 100
    assert min(height, width) == max(1, round(100 * min(size) / max(size)))


def test_a_mask_is_drawn_over_its_photo_and_named_in_the_legend():
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 2
    with_mask = np.asarray(draw_contact_sheet([Tile(grey(64, 64), mask)], ("cat", "dog"), tile=64))
    inside = with_mask[8 + 32, 8 + 48].astype(int)
    assert np.abs(inside - (np.array(colour(2)) + 120) / 2).max() <= 1
    assert (with_mask[8 + 32, 8 + 16] == 120).all()  # background is not tinted
    legend = with_mask[8 + 64 + 8 :]
    assert (legend == colour(2)).all(axis=2).any()
    assert not (legend == colour(1)).all(axis=2).any()  # cat is in no photo


def test_a_sheet_without_masks_has_no_legend():
    assert draw_contact_sheet([Tile(grey(9, 9))], ("cat",), tile=64).height == 8 + 64 + 8


def test_ignored_pixels_and_labels_without_a_name_are_in_the_legend():
    mask = np.full((8, 8), 255, np.uint8)
    without = draw_contact_sheet([Tile(grey(8, 8), np.zeros((8, 8), np.uint8))], tile=64)
    assert draw_contact_sheet([Tile(grey(8, 8), mask)], tile=64).height > without.height
    mask[0] = 7
    sheet = np.asarray(draw_contact_sheet([Tile(grey(8, 8), mask)], ("cat",), tile=64))
    assert (sheet[80:] == colour(7)).all(axis=2).any()


def test_captions_are_cut_to_the_width_of_their_tile():
    sheet = np.asarray(draw_contact_sheet([Tile(grey(9, 9), None, "W" * 500)], tile=64))
    assert sheet.shape[1] == 8 + 64 + 8
    assert (sheet[72:, :6] == 255).all()
    assert (sheet[72:, -6:] == 255).all()
    assert (sheet[72:] < 100).any()


def test_a_caption_has_at_most_three_lines():
    one, three, nine = (
        draw_contact_sheet([Tile(grey(9, 9), None, "\n".join("x" * lines))], tile=64).height for lines in (1, 3, 9)
    )
    assert one < three == nine


def test_text_that_fits_is_left_and_what_no_font_can_draw_is_no_error():
    font = ImageFont.load_default(size=13)
    assert shortened("two  words\n", font, 500) == "two words"
    cut = shortened("a long name that does not fit", font, 60)
    assert cut.endswith("…")
    assert font.getlength(cut) <= 60
    assert draw_contact_sheet([Tile(grey(9, 9), None, "caf\udce9 \x00 写真")], tile=64)


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet.PNG"])
def test_the_file_is_of_the_kind_that_its_name_says(tmp_path, name):
    contact_sheet([Tile(grey(9, 9))], tmp_path / "new" / name, tile=64)
    with Image.open(tmp_path / "new" / name) as picture:
        assert picture.format == {"jpg": "JPEG", "PNG": "PNG"}[name[-3:]]
        assert picture.size == (80, 80)


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        ([], "given no photo, expected 1 to 100"),
        ([Tile(grey(2, 2))] * (MOST + 1), "over 100 photos"),
        (
            [Tile(grey(2, 3), np.zeros((3, 2), np.uint8), "a.jpg")],
            "a.jpg: the mask is 2 × 3, expected 3 × 2 as its photo",
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_line(tiles, message):
    with pytest.raises(TagsegError, match=message) as error:
        draw_contact_sheet(tiles, tile=64)
    assert "\n" not in str(error.value)
