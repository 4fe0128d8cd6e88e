"""Pictures of masks: what they are taken for, and what is read from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tagseg.data.palette import palette
from tagseg.data.proposal_pictures import Kind, Picture, PictureStack, read_values, recognise
from tagseg.errors import TagsegError

HEIGHT, WIDTH = 60, 80
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
BLOB = np.exp(-(((ROWS - 30) / 12) ** 2) - ((COLUMNS - 40) / 13) ** 2)


def superpixels(count_down: int, count_across: int, seed: int = 0) -> np.ndarray:
    """Ragged cells, numbered row by row from 1 on."""
    ragged = np.random.default_rng(seed).normal(0, 0.5, (2, HEIGHT, WIDTH))
    down = ((ROWS + ragged[0]) * count_down / HEIGHT).astype(int).clip(0, count_down - 1)
    across = ((COLUMNS + ragged[1]) * count_across / WIDTH).astype(int).clip(0, count_across - 1)
    return down * count_across + across + 1


def objects(count: int) -> np.ndarray:
    """Discs of falling size, one over the other."""
    rng = np.random.default_rng(count)
    ids = np.zeros((HEIGHT, WIDTH), int)
    for number, radius in enumerate(np.linspace(25, 6, count), 1):
        ids[(ROWS - rng.integers(HEIGHT)) ** 2 + (COLUMNS - rng.integers(WIDTH)) ** 2 < radius**2] = number
    return ids


def colours(ids: np.ndarray) -> np.ndarray:
    table = np.random.default_rng(1).integers(0, 256, (ids.max() + 1, 3), np.uint8)
    table[0] = 0
    return table[ids]


def saved(path: Path, values: np.ndarray | Image.Image) -> Path:
    (values if isinstance(values, Image.Image) else Image.fromarray(values)).save(path)
    return path


def blurred(radius: float) -> Image.Image:
    return Image.fromarray((BLOB > 0.4).astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(radius))


PICTURES: list[tuple[str, Kind, np.ndarray | Image.Image]] = [
    ("0 and 1", "binary", (BLOB > 0.4).astype(np.uint8)),
    ("0 and 255", "binary", (BLOB > 0.4).astype(np.uint8) * 255),
    ("bilevel", "binary", BLOB > 0.4),
    ("nothing", "binary", np.zeros((HEIGHT, WIDTH), np.uint8)),
    ("black and white RGB", "binary", np.repeat((BLOB > 0.4).astype(np.uint8)[..., None] * 255, 3, axis=2)),
    ("two segments", "segments", objects(2).astype(np.uint8)),
    ("superpixels", "segments", superpixels(6, 8).astype(np.uint8)),
    ("200 superpixels", "segments", np.kron(superpixels(10, 20), np.ones((3, 3))).astype(np.uint8)),
    ("16 bit superpixels", "segments", (superpixels(6, 8) + 1000).astype(np.uint16)),
    ("objects", "segments", objects(20).astype(np.uint8)),
    ("coloured objects", "segments", colours(objects(20))),
    ("smooth", "saliency", (BLOB * 255).astype(np.uint8)),
    ("large and smooth", "saliency", Image.fromarray((BLOB * 255).astype(np.uint8)).resize((1600, 1200))),
    ("16 bit smooth", "saliency", (BLOB * 65535).astype(np.uint16)),
    ("steep", "saliency", (255 / (1 + np.exp(-40 * (BLOB - 0.4)))).astype(np.uint8)),
    ("hardly blurred", "saliency", blurred(0.5)),
    ("blurred", "saliency", blurred(3)),
    ("slope", "saliency", (COLUMNS + ROWS).astype(np.uint8)),
]


@pytest.mark.parametrize(("kind", "picture"), [p[1:] for p in PICTURES], ids=[p[0] for p in PICTURES])
def test_pictures_are_taken_for_what_they_are(tmp_path, kind, picture):
    assert recognise([saved(tmp_path / "a.png", picture)]) == kind


def test_binary_pictures_among_others_do_not_matter_and_those_of_many_values_decide(tmp_path):
    binary = saved(tmp_path / "a.png", BLOB > 0.4)
    ids = saved(tmp_path / "b.png", superpixels(6, 8).astype(np.uint8))
    saturated = saved(tmp_path / "c.png", ((BLOB > 0.4) * 254 + (BLOB > 0.6)).astype(np.uint8))
    soft = saved(tmp_path / "d.png", blurred(3))
    assert recognise([saturated]) == "segments"  # of three values
    assert recognise([binary, ids]) == "segments"
    assert recognise([binary, saturated, soft]) == "saliency"


def test_what_cannot_be_told_names_the_setting(tmp_path):
    rng = np.random.default_rng(0)
    photo = saved(tmp_path / "photo.png", rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(TagsegError, match=r"photo\.png of 4\d\d\d values, looks neither.* set --labels\.kind"):
        recognise([photo])
    ids = saved(tmp_path / "ids.png", superpixels(6, 8).astype(np.uint8))
    with pytest.raises(TagsegError, match=r"ids\.png looks like segments, but .*soft\.png like saliency.*labels\.kind"):
        recognise([ids, saved(tmp_path / "soft.png", blurred(3))])


def test_separate_regions_of_a_binary_mask_are_segments(tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 1:3] = mask[4, 5:] = 255
    ids = Picture(saved(tmp_path / "a.png", mask), "binary")()
    assert ids.dtype == np.int32
    assert ids.tolist() == (np.where(ROWS[:6, :8] < 3, 1, 2) * (mask > 0)).tolist()


def test_a_saliency_map_is_cut_at_half_of_its_maximum(tmp_path):
    values = np.array([[0, 99, 100, 200], [100, 0, 0, 0]], np.uint8)
    expected = [[0, 0, 1, 1], [2, 0, 0, 0]]
    for picture in (values, values.astype(np.uint16) * 257):
        assert Picture(saved(tmp_path / "a.png", picture), "saliency")().tolist() == expected
    assert not Picture(saved(tmp_path / "b.png", values * 0), "saliency")().any()


IDS = np.array([[0, 7, 7, 0], [9, 0, 255, 7]], np.uint8)
EXPECTED = [[0, 1, 1, 0], [2, 0, 3, 1]]


def as_palette(ids: np.ndarray, table: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids)
    image.putpalette(table.astype(np.uint8).tobytes())
    return image


@pytest.mark.parametrize(
    "picture",
    [
        IDS,
        IDS.astype(np.uint16) * 200,
        as_palette(IDS, palette()),
        np.stack([IDS] * 3, axis=2),
        np.stack([IDS // 9, IDS * 0, IDS // 3], axis=2),
        np.stack([IDS, IDS, IDS, IDS * 0 + 255], axis=2),
    ],
    ids=["grey", "16 bit", "palette", "grey RGB", "colours", "opaque RGBA"],
)
def test_each_value_or_colour_is_a_segment(tmp_path, picture):
    ids = Picture(saved(tmp_path / "a.png", picture), "segments")()
    # in the colours 9 becomes (1, 0, 3), after (0, 0, 2) and before (28, 0, 85)
    assert ids.tolist() == EXPECTED


def test_without_a_0_every_pixel_is_in_a_segment(tmp_path):
    assert Picture(saved(tmp_path / "a.png", IDS // 2 + 1), "segments")().min() == 1


def test_a_palette_of_black_and_white_is_read_as_it_looks(tmp_path):
    white_first = as_palette((BLOB > 0.4).astype(np.uint8), np.array([[255, 255, 255], [0, 0, 0]]))
    ids = Picture(saved(tmp_path / "a.png", white_first), "binary")()
    assert (ids > 0).tolist() == (BLOB <= 0.4).tolist()


def test_a_picture_that_is_not_of_its_kind_is_refused(tmp_path):
    path = saved(tmp_path / "a.png", IDS)
    with pytest.raises(TagsegError, match=r"a\.png has 3 values beside 0, expected a binary mask.*--labels\.kind"):
        Picture(path, "binary")()
    with pytest.raises(TagsegError, match=r"b\.png has colours, expected grey levels"):
        Picture(saved(tmp_path / "b.png", np.stack([IDS, IDS, IDS * 0], axis=2)), "saliency")()
    cut_out = np.stack([IDS, IDS, IDS, IDS], axis=2)
    with pytest.raises(TagsegError, match=r"c\.png is partly transparent"):
        read_values(saved(tmp_path / "c.png", cut_out))


def test_a_damaged_picture_is_one_line(tmp_path):
    path = saved(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    for read in (lambda: recognise([path]), Picture(path, "segments"), PictureStack((path,), "binary")):
        with pytest.raises(TagsegError, match=r"a\.png cannot be read as an image") as error:
            read()
        assert "\n" not in str(error.value)


def test_in_a_stack_the_smaller_mask_is_on_top_and_a_mask_is_one_segment(tmp_path):
    large, small = np.zeros((2, 4, 6), np.uint8)
    large[:, 1:4] = large[0, 5] = 255
    small[1, 2:5] = 1
    paths = tuple(saved(tmp_path / f"{i}.png", each) for i, each in enumerate((small, large)))
    assert PictureStack(paths, "binary")().tolist() == [
        [0, 2, 2, 2, 0, 2],
        [0, 2, 1, 1, 1, 0],
        [0, 2, 2, 2, 0, 0],
        [0, 2, 2, 2, 0, 0],
    ]


def test_a_stack_of_ids_or_of_two_sizes_is_refused(tmp_path):
    first = saved(tmp_path / "0.png", IDS > 0)
    with pytest.raises(TagsegError, match=r"1\.png has 3 values beside 0"):
        PictureStack((first, saved(tmp_path / "1.png", IDS)), "binary")()
    with pytest.raises(TagsegError, match=r"2\.png is 2×4, expected 4×2 like 0\.png"):
        PictureStack((first, saved(tmp_path / "2.png", IDS.T > 0)), "binary")()
    assert PictureStack((saved(tmp_path / "3.png", IDS),), "saliency")().sum() == 1
