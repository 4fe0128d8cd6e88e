"""Views, local crops and blocks that are no multiple of the patch: what is said before training."""

import logging

import pytest

from tagseg.config import Config, replace
from tagseg.errors import TagsegError
from tagseg.training.view_sizes import check_view_sizes


def config_of(size, block, **views):
    config = replace(Config(), network={"encoder": "vit_small_patch14_dinov2"}, mask={"choice": "none"})
    return replace(replace(config, views={"size": size, **views}), mask={"choice": "random", "block": block})


def refused(config, patch=14):
    with pytest.raises(TagsegError) as caught:
        check_view_sizes(config, patch)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_view_is_refused_with_the_sizes_and_blocks_that_fit():
    assert refused(config_of(320, 32)) == (
        "views.size is 320, expected a multiple of the patch size (14) of vit_small_patch14_dinov2: "
        "set --views.size 308 --mask.block 28 or --views.size 322 --mask.block 14"
    )
    assert "set --views.size 14 --mask.block 14" in refused(config_of(8, 8)), "not 0"
    unmasked = replace(config_of(320, 32), mask={"choice": "none"})
    assert refused(unmasked).endswith("set --views.size 308 or --views.size 322")


def test_a_local_crop_is_refused_where_there_are_any():
    check_view_sizes(config_of(224, 28, local_size=96), 14)
    message = refused(config_of(224, 28, local_crops=1, local_size=96))
    assert "views.local_size is 96, expected a multiple" in message
    assert message.endswith("set --views.local_size 84 or --views.local_size 98")


def test_blocks_of_unequal_numbers_of_patches_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "tagseg"):
        for config, patch in ((config_of(224, 28), 14), (config_of(224, 32), 16)):
            check_view_sizes(config, patch)
        assert not caplog.records
        check_view_sizes(config_of(224, 32), 14)
    assert len(caplog.records) == 1
    assert "mask.block is 32, no multiple of the patch size (14)" in caplog.text
    assert "set --mask.block to one of 14, 28, 56, 112, 224" in caplog.text
