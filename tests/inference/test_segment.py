import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.errors import TagsegError
from tagseg.inference.segment import (
    Sizing,
    cam_label_map,
    label_map,
    multi_scale_logits,
    pick_device,
    scale_logits,
    to_input,
)

from .conftest import photo


@torch.no_grad()
def reference(network, image, scales):
    """Section 9 of docs/method.md: upsample all logits, sum image and mirror image, maximum over scales."""
    height, width = image.shape[2:]
    merged = []
    for scale in scales:
        size = tuple(max(1, round(side * scale / 16)) * 16 for side in (height, width))
        scaled = F.interpolate(image, size=size, mode="bilinear", align_corners=False)

        def native(logits):
            return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)

        mirrored = native(network.segment_logits(scaled.flip(-1))).flip(-1)
        merged.append(native(network.segment_logits(scaled)) + mirrored)
    return torch.stack(merged).amax(dim=0)[0]


def test_equals_the_method_word_by_word(network):
    image = to_input(network, photo(48, 80))
    expected = reference(network, image, (1.0, 1.25, 1.5))
    torch.testing.assert_close(multi_scale_logits(network, image), expected, rtol=1e-4, atol=1e-5)


def test_mirror_image_gives_the_mirrored_map(network):
    image = to_input(network, photo(50, 70))
    torch.testing.assert_close(
        multi_scale_logits(network, image.flip(-1)), multi_scale_logits(network, image).flip(-1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (33, 17), (64, 64)])
@pytest.mark.parametrize("sizing", [Sizing(), Sizing(size=32), Sizing(max_side=32)])
def test_every_size_keeps_its_pixels(network, size, sizing):
    logits = multi_scale_logits(network, to_input(network, photo(*size)), sizing=sizing)
    assert logits.shape == (len(network.classes) + 1, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("values_at_once", [1, 5000, 10**9])
def test_label_map_is_the_argmax_however_little_memory(network, values_at_once):
    image = to_input(network, photo(40, 60))
    grids = scale_logits(network, image)
    expected = multi_scale_logits(network, image).argmax(dim=0).numpy()
    np.testing.assert_array_equal(label_map(grids, (40, 60), values_at_once), expected)


def test_ties_go_to_the_lower_label():
    assert label_map([torch.zeros(5, 2, 2)], (4, 4), values_at_once=1).max() == 0


def test_too_many_classes_for_8_bits():
    with pytest.raises(TagsegError, match="300 classes"):
        label_map([torch.zeros(300, 1, 1)], (1, 1))


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.05, 3), st.sampled_from([8, 14, 16]))
@settings(max_examples=100, deadline=None)
def test_input_sizes_are_near_multiples_of_the_patch(height, width, scale, patch):
    for side, wanted in zip(Sizing(max_side=None).at(height, width, scale, patch), (height, width), strict=True):
        assert side % patch == 0
        assert side >= patch
        assert abs(side - wanted * scale) <= patch / 2 + 1e-6 or side == patch
    assert max(Sizing(max_side=1000).at(height, width, 1.0, patch)) <= 1000 + patch / 2
    assert Sizing(size=224).at(height, width, 1.0, 16) == (224, 224)


def test_cam_label_map_finds_only_tags():
    cam = torch.tensor([0.9, 0.4, 0.6]).reshape(3, 1, 1).expand(3, 2, 2)
    assert set(np.unique(cam_label_map(cam, (1, 2), (4, 6), 0.5))) == {3}
    assert set(np.unique(cam_label_map(cam, (1,), (4, 6), 0.5))) == {0}
    assert set(np.unique(cam_label_map(cam, (0, 1, 2), (4, 6), 0.5))) == {1}
    empty = cam_label_map(cam, (), (4, 6), 0.5)
    assert empty.shape == (4, 6)
    assert empty.max() == 0


@pytest.mark.parametrize("scales", [(), (1.0, 0.0), (-1.0,)])
def test_bad_scales(network, scales):
    with pytest.raises(TagsegError, match="positive factors"):
        scale_logits(network, to_input(network, photo(16, 16)), scales)


@pytest.mark.parametrize("name", ["gpu", "no-such-thing", "cuda:99"])
def test_bad_device(name):
    with pytest.raises(TagsegError, match="expected auto, cpu or cuda"):
        pick_device(name)
