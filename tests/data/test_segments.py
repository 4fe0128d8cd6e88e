"""Segment maps against their definitions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tagseg.data.segments import resized, same_aspect, separate_regions, smaller_on_top

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))


def flooded(mask: np.ndarray) -> np.ndarray:
    """Regions by walking from each pixel to its eight neighbours."""
    regions = np.zeros(mask.shape, int)
    for start in zip(*np.nonzero(mask), strict=True):
        if regions[start]:
            continue
        number = regions.max() + 1
        waiting = [start]
        while waiting:
            row, column = waiting.pop()
            inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
            if inside and mask[row, column] and not regions[row, column]:
                regions[row, column] = number
                waiting += [(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return regions


@given(MASKS)
def test_regions_are_those_of_a_flood_fill(mask):
    assert separate_regions(mask).tolist() == flooded(mask).tolist()


def test_a_spiral_is_one_region():
    side = 41
    mask = np.zeros((side, side), bool)
    for ring in range(0, side // 2, 2):
        mask[ring, ring : side - ring] = mask[ring : side - ring, side - 1 - ring] = True
        mask[side - 1 - ring, ring : side - ring] = mask[ring + 2 : side - ring, ring] = True
        if ring:
            mask[ring, ring - 2 : ring] = True
    assert separate_regions(mask).max() == flooded(mask).max() == 1


def test_corners_connect_but_not_the_ends_of_rows():
    assert separate_regions(np.array([[1, 0, 0], [0, 1, 0]], bool)).max() == 1
    assert separate_regions(np.array([[0, 0, 1], [1, 0, 0]], bool)).max() == 2


@given(st.lists(arrays(bool, (4, 5)), max_size=5))
def test_the_smaller_mask_is_on_top_and_of_equal_ones_the_later(masks):
    ids = smaller_on_top(masks, (4, 5))
    for pixel in np.ndindex(4, 5):
        over = [(mask.sum(), -number, number) for number, mask in enumerate(masks, 1) if mask[pixel]]
        assert ids[pixel] == (min(over)[2] if over else 0)


def test_each_pixel_of_a_resized_map_takes_the_id_at_its_centre():
    ids = np.array([[1, 2], [3, 4]], np.int32)
    assert resized(ids, (4, 4)).tolist() == [[1, 1, 2, 2]] * 2 + [[3, 3, 4, 4]] * 2
    assert resized(resized(ids, (6, 10)), (2, 2)).tolist() == ids.tolist()
    assert resized(ids, (1, 3)).tolist() == [[3, 4, 4]]


def test_aspects_agree_up_to_a_pixel():
    assert same_aspect((375, 500), (240, 320))
    assert same_aspect((333, 500), (213, 320))  # 213.1
    assert same_aspect((2250, 1500), (1024, 683))
    assert not same_aspect((375, 500), (320, 320))
    assert not same_aspect((375, 500), (500, 375))
    assert not same_aspect((333, 500), (210, 320))
