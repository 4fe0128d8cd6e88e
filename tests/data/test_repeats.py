"""How often an epoch shows an image."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.data import sources
from tagseg.data.loaders import training_loader
from tagseg.data.repeats import draw_repeats, repeat_factors
from tagseg.data.sampler import StepSampler
from tagseg.errors import TagsegError

from ..conftest import tiny_config


def test_factors_of_rare_classes_by_hand():
    tags = np.zeros((100, 3), np.float32)
    tags[:50, 0] = 1  # half of the images
    tags[0, 1] = 1  # one in a hundred
    tags[1:5, 2] = 1  # four in a hundred
    factors = repeat_factors(tags, 0.16)
    assert factors[0] == pytest.approx(4)
    assert factors[1:5] == pytest.approx(2)
    assert factors[5:] == pytest.approx(1)
    assert repeat_factors(tags, 0.0) == pytest.approx(1)
    assert repeat_factors(np.zeros((3, 0), np.float32), 0.5) == pytest.approx(1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(1, 6), min_size=1, max_size=30), st.integers(0, 99))
def test_every_image_comes_its_factor_rounded_down_or_up_and_epochs_have_one_length(factors, seed):
    factors = np.array(factors)
    counts = [draw_repeats(factors, np.random.default_rng([seed, epoch])) for epoch in range(5)]
    assert len({int(count.sum()) for count in counts}) == 1
    assert abs(int(counts[0].sum()) - factors.sum()) < 1 + 1e-6
    for count in counts:
        assert (count >= np.floor(factors)).all()
        assert (count <= np.floor(factors) + 1).all()


def test_on_average_an_image_comes_as_often_as_its_factor():
    factors = np.array([1.0, 1.5, 2.25, 1.0, 3.25])
    counts = np.mean([draw_repeats(factors, np.random.default_rng(seed)) for seed in range(4_000)], axis=0)
    assert counts == pytest.approx(factors, abs=0.05)


def test_repeats_in_an_epoch_are_other_draws_and_a_resumed_run_goes_on_with_them():
    factors = np.array([1.0, 2.6, 1.0, 4.4])
    keys = [key for batch in islice(StepSampler(factors, 3, 0), 12) for key in batch]
    assert len(set(keys)) == len(keys)
    assert list(islice(StepSampler(factors, 3, 0, first=5), 4)) == list(islice(StepSampler(factors, 3, 0), 9))[5:]
    parts = [list(islice(StepSampler(factors, 4, 0, part=(rank, 2)), 5)) for rank in range(2)]
    whole = list(islice(StepSampler(factors, 4, 0), 5))
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_without_repeats_nothing_changes():
    assert list(islice(StepSampler(np.ones(7), 3, 2), 9)) == list(islice(StepSampler(7, 3, 2), 9))


def test_a_training_sees_rare_classes_more_often(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path)
    images = sources.load(config.data, "train")
    factors = repeat_factors(images.tag_matrix(), 1.0)
    assert factors.max() > 1.3
    loader = training_loader(images, config.views, batch=2, seed=0, workers=0, repeat_below=1.0)
    tags = np.concatenate([batch.tags.numpy() for batch in islice(loader, int(factors.sum()) // 2 * 4)])
    assert tags.mean() > images.tag_matrix().mean()


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_share_that_cannot_be_is_refused(tmp_path, value):
    with pytest.raises(TagsegError, match=r"beyond\.repeat_below"):
        tiny_config(tmp_path, tmp_path, beyond={"repeat_below": value})
