"""What the pixels of masks mean, found out by looking: ids, colours of a list, palettes, masks of two values."""

from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray
from PIL import Image

from tagseg.data import mask_survey
from tagseg.data.colour_list import ColourList
from tagseg.data.mask_coding import Coding
from tagseg.data.mask_pixels import packed, read_pixels
from tagseg.data.mask_survey import MaskOf, survey
from tagseg.data.palette import colour as voc_colour
from tagseg.data.palette import palette
from tagseg.errors import TagsegError

CLASSES = ("ant", "bee", "cow")
IDS = (
    np.array([[0, 0, 1, 255], [0, 1, 1, 255]], np.uint8),
    np.array([[0, 2, 2, 3], [0, 0, 2, 3]], np.uint8),
    np.array([[0, 0, 3, 3], [1, 1, 3, 3]], np.uint8),
)
TAGS = ((0,), (1, 2), (0, 2))
COLOURS = np.zeros((256, 3), np.uint8)
COLOURS[[1, 2, 3, 255]] = (10, 200, 30), (200, 40, 90), (0, 130, 250), (250, 250, 250)
NAMED = {
    packed(*(int(v) for v in COLOURS[i])): n
    for i, n in ((0, "background"), (1, "ant"), (2, "bee"), (3, "cow"), (255, "void"))
}
LIST = ColourList(Path("labelmap.txt"), NAMED)


def with_palette(ids: ndarray, colours: ndarray, index_of: dict[int, int] | None = None) -> Image.Image:
    """The colours of ids, at indices of a file's own if such are given, as optimisers of palettes leave them."""
    table = np.arange(256)
    for label, index in (index_of or {}).items():
        table[label] = index
    own = np.zeros((256, 3), np.uint8)
    for label in np.unique(ids):
        own[table[label]] = colours[label]
    picture = Image.fromarray(table[ids].astype(np.uint8))
    picture.putpalette(own.ravel().tolist())
    return picture


def save(folder: Path, pictures: list[Image.Image], tags: tuple[tuple[int, ...] | None, ...] = TAGS) -> list[MaskOf]:
    masks = []
    for index, (picture, tag) in enumerate(zip(pictures, tags, strict=True)):
        path = folder / f"{index}.png"
        picture.save(path)
        masks.append(MaskOf(path, tag))
    return masks


def read(masks: list[MaskOf], coding: Coding, count: int = 3) -> list[list[list[int]]]:
    return [coding.labels(read_pixels(mask.path), count, mask.path).tolist() for mask in masks]


def labels() -> list[list[list[int]]]:
    return [ids.tolist() for ids in IDS]


def said(notes: tuple[object, ...]) -> str:
    return "; ".join(map(str, notes))


@pytest.mark.parametrize("kind", ["grey", "voc", "own palette", "black palette"])
def test_ids_need_no_word(tmp_path, kind):
    own = np.random.default_rng(0).integers(1, 255, (256, 3)).astype(np.uint8)
    pictures = {
        "grey": [Image.fromarray(ids) for ids in IDS],
        "voc": [with_palette(ids, palette()) for ids in IDS],
        "own palette": [with_palette(ids, own) for ids in IDS],
        "black palette": [with_palette(ids, np.zeros((256, 3), np.uint8)) for ids in IDS],
    }[kind]
    masks = save(tmp_path, pictures)
    coding, notes = survey(masks, CLASSES)
    assert notes == ()
    assert read(masks, coding) == labels()


def test_rgb_is_read_by_a_colour_list(tmp_path):
    masks = save(tmp_path, [Image.fromarray(COLOURS[ids]) for ids in IDS])
    coding, notes = survey(masks, CLASSES, LIST)
    assert read(masks, coding) == labels()
    assert said(notes) == "masks are read by their colours, as labelmap.txt names them"
    Image.fromarray(np.full((1, 1, 3), 9, np.uint8)).save(masks[0].path)
    with pytest.raises(TagsegError, match=r"0\.png holds the colours 9,9,9, which are no class in labelmap\.txt"):
        read(masks, coding)


@pytest.mark.parametrize("explicit", [True, False])
def test_a_resorted_palette_is_read_by_a_colour_list(tmp_path, explicit):
    orders: list[dict[int, int]] = [{0: 2, 1: 0, 255: 1}, {0: 3, 2: 1, 3: 0}, {0: 0, 1: 2, 3: 1}]
    masks = save(tmp_path, [with_palette(ids, COLOURS, order) for ids, order in zip(IDS, orders, strict=True)])
    coding, notes = survey(masks, CLASSES, LIST, "labelmap.txt" if explicit else "auto")
    assert read(masks, coding) == labels()
    assert "labelmap.txt" in said(notes)


def test_greys_of_a_list_are_colours_where_they_are_no_ids(tmp_path):
    levels = np.zeros(256, np.uint8)
    levels[[1, 2, 3, 255]] = 60, 120, 180, 240
    grey = {packed(v, v, v): n for v, n in ((0, "bg"), (60, "ant"), (120, "bee"), (180, "cow"), (240, "void"))}
    masks = save(tmp_path, [Image.fromarray(levels[ids]) for ids in IDS])
    coding, notes = survey(masks, CLASSES, ColourList(Path("levels.txt"), grey))
    assert read(masks, coding) == labels()
    assert "levels.txt" in said(notes)


def test_a_list_that_does_not_explain_the_masks_is_refused(tmp_path):
    masks = save(tmp_path, [Image.fromarray(COLOURS[ids]) for ids in IDS])
    with pytest.raises(TagsegError, match=r"does not explain 1 of 5 colours of the masks \(cow of it are no class\)"):
        survey(masks, CLASSES[:2], LIST)
    short = ColourList(Path("s.txt"), {c: n for c, n in NAMED.items() if n != "bee"})
    with pytest.raises(TagsegError, match=r"s\.txt does not explain 1 of 5 .*it does not name 200,40,90"):
        survey(masks, CLASSES, short)


def test_a_list_that_is_not_needed_is_said_if_it_was_asked_for(tmp_path):
    masks = save(tmp_path, [Image.fromarray(ids) for ids in IDS])
    assert survey(masks, CLASSES, LIST)[1] == ()
    coding, notes = survey(masks, CLASSES, LIST, "labelmap.txt")
    assert read(masks, coding) == labels()
    assert "labelmap.txt is not used" in said(notes)


def test_vocs_colours_are_read_without_a_list(tmp_path):
    masks = save(tmp_path, [Image.fromarray(palette()[ids]) for ids in IDS])
    coding, notes = survey(masks, CLASSES)
    assert read(masks, coding) == labels()
    assert "PASCAL VOC's palette" in said(notes)


def test_other_colours_without_a_list_are_refused(tmp_path):
    masks = save(tmp_path, [Image.fromarray(COLOURS[ids]) for ids in IDS])
    with pytest.raises(TagsegError, match=r"holds the colours 0,0,0; 10,200,30; 250,250,250, .*labelmap\.txt"):
        survey(masks, CLASSES)
    outside = save(tmp_path, [Image.fromarray(np.array([[voc_colour(9)]], np.uint8))], ((),))
    with pytest.raises(TagsegError, match="holds the colours"):
        survey(outside, CLASSES)


def test_vocs_palette_at_other_indices_is_read_by_colour_unless_tags_speak_against_it(tmp_path):
    order = {1: 3, 2: 1, 3: 2}
    masks = save(tmp_path, [with_palette(ids, palette(), order) for ids in IDS])
    coding, notes = survey(masks, CLASSES)
    assert read(masks, coding) == labels()
    assert "not in the order of the labels" in said(notes)
    by_index = [MaskOf(mask.path, tags) for mask, tags in zip(masks, ((2,), (0, 1), (1, 2)), strict=True)]
    coding, notes = survey(by_index, CLASSES)
    assert read(masks, coding)[1] == [[0, 1, 1, 2], [0, 0, 1, 2]]
    assert "read by index, as their tags are" in said(notes)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([{0: 1, 1: 0}, {}, {}], "has black, the usual background, not as its index 0"),
        ([{1: 1}, {2: 1, 3: 2}, {1: 2, 3: 1}], "has the colour .* as its index 1, but 0.png"),
        ([{}, {2: 2}, {1: 4, 3: 3}], r"has the colour 10,200,30 as its index 4, but 0\.png as 1"),
    ],
)
def test_a_palette_that_is_not_in_order_is_refused_or_trusted(tmp_path, orders, message):
    masks = save(tmp_path, [with_palette(ids, COLOURS, order) for ids, order in zip(IDS, orders, strict=True)])
    with pytest.raises(TagsegError, match=message) as error:
        survey(masks, CLASSES)
    assert "--data.colours ids" in str(error.value)
    coding, notes = survey(masks, CLASSES, None, "ids")
    assert notes == ()
    assert coding.labels(read_pixels(masks[0].path), 3, masks[0].path).shape == (2, 4)


def test_grey_gifs_whose_palette_is_sorted_anew_hold_their_levels(tmp_path):
    masks = []
    for index, ids in enumerate(IDS):
        path = tmp_path / f"{index}.gif"
        Image.fromarray(ids).save(path)
        masks.append(MaskOf(path, TAGS[index]))
    coding, notes = survey(masks, CLASSES)
    assert read(masks, coding) == labels()
    assert "grey levels are read as ids" in said(notes)


@pytest.mark.parametrize("mode", ["L", "RGB", "LA"])
def test_of_one_class_255_is_the_class_if_there_is_nothing_else(tmp_path, mode):
    white = [Image.fromarray(np.where(ids > 0, 255, 0).astype(np.uint8)).convert(mode) for ids in IDS]
    masks = save(tmp_path, white, ((0,), (0,), ()))
    coding, notes = survey(masks, ("ant",))
    assert read(masks, coding, 1) == [(ids > 0).astype(int).tolist() for ids in IDS]
    assert said(notes).startswith("masks hold 0 and 255 alone: 255 is read as 'ant', not as ignored")
    Image.fromarray(IDS[0]).save(masks[0].path)
    with pytest.raises(TagsegError, match=r"0\.png holds the ids 1, but the masks that were looked at hold 0 and 255"):
        read(masks, coding, 1)


def test_of_one_class_255_stays_ignored_beside_ids_or_without_tags(tmp_path):
    white = [Image.fromarray(np.where(ids > 0, 255, 0).astype(np.uint8)) for ids in IDS]
    masks = save(tmp_path, [*white[:2], Image.fromarray((IDS[2] > 0).astype(np.uint8))], ((0,), (0,), (0,)))
    coding, notes = survey(masks, ("ant",))
    assert not coding.white_is_class
    assert notes == ()
    masks = save(tmp_path, white, ((), (), ()))
    assert not survey(masks, ("ant",))[0].white_is_class
    assert survey([MaskOf(mask.path, None) for mask in masks], ("ant",))[0].white_is_class


def test_bilevel_masks_of_one_class_are_that_class(tmp_path):
    masks = save(tmp_path, [Image.fromarray(ids > 0) for ids in IDS], ((0,), (0,), (0,)))
    coding, notes = survey(masks, ("ant",))
    assert notes == ()
    assert read(masks, coding, 1) == [(ids > 0).astype(int).tolist() for ids in IDS]


@pytest.mark.parametrize("bilevel", [False, True])
def test_two_values_for_several_classes_are_refused(tmp_path, bilevel):
    white = [Image.fromarray(np.where(ids > 0, 255, 0).astype(np.uint8)) for ids in IDS]
    masks = save(tmp_path, [picture.convert("1") if bilevel else picture for picture in white])
    names = "bee, cow have" if bilevel else "ant, bee, cow have"
    with pytest.raises(TagsegError, match=rf"alone, so the tags {names} no pixel in \d of 3 masks"):
        survey(masks, CLASSES)
    untagged = [MaskOf(mask.path, ()) for mask in masks]
    assert survey(untagged, CLASSES)[0] == Coding()


def test_an_opaque_alpha_channel_is_said(tmp_path):
    masks = save(tmp_path, [Image.fromarray(ids).convert("LA") for ids in IDS])
    coding, notes = survey(masks, CLASSES)
    assert read(masks, coding) == labels()
    assert "opaque everywhere" in said(notes)


def test_of_many_masks_some_are_looked_at(tmp_path, monkeypatch):
    masks = save(tmp_path, [Image.fromarray(COLOURS[ids]) for ids in IDS])
    looked = []
    monkeypatch.setattr(mask_survey, "read_pixels", lambda path: looked.append(path) or read_pixels(path))
    _, notes = survey(masks * 100, CLASSES, LIST)
    assert len(looked) == 200
    assert said(notes).endswith("(looked at 200 of 300 masks)")
    looked.clear()
    plain = save(tmp_path, [Image.fromarray(ids) for ids in IDS])
    survey(plain * 100, CLASSES)
    assert len(looked) == mask_survey.FEW_MASKS


def test_no_masks_are_no_trouble():
    assert survey([], CLASSES)[1] == ()
