"""The length of a training by the size of the collection."""

import logging

import pytest

from tagseg.config import Config, RunConfig, replace
from tagseg.frozen.config import FrozenConfig
from tagseg.fsr.config import FSRConfig
from tagseg.training.lengths import with_length


def steps(method, photos, batch=8, given=0):
    return with_length(Config(method=method, run=RunConfig(steps=given, batch=batch)), photos).run.steps


@pytest.mark.parametrize(("photos", "expected"), [(1, 500), (266, 500), (267, 501), (10_582, 19_842), (82_081, 20_000)])
def test_a_training_on_views_is_15_epochs_within_its_range(photos, expected):
    assert steps(FSRConfig(), photos) == expected


@pytest.mark.parametrize(("photos", "expected"), [(1, 200), (320, 200), (321, 201), (1_000, 625), (10_582, 1_000)])
def test_a_decoder_on_frozen_features_is_10_epochs_within_its_range(photos, expected):
    assert steps(FrozenConfig(), photos, batch=16) == expected


@pytest.mark.parametrize("method", [FSRConfig(), FrozenConfig()])
def test_a_number_that_is_given_stays_and_nothing_is_said(method, caplog):
    config = Config(method=method, run=RunConfig(steps=7))
    with caplog.at_level(logging.INFO, "tagseg"):
        assert with_length(config, 10_000) is config
    assert caplog.text == ""


def test_what_was_chosen_is_logged_and_nothing_else_changes(caplog):
    config = Config(method=FrozenConfig(), run=RunConfig(steps=0, batch=4, seed=3))
    with caplog.at_level(logging.INFO, "tagseg"):
        chosen = with_length(config, 100)
    assert chosen == replace(config, run={"steps": 250})
    assert "250 steps of 4 photos, by the size of the collection (--run.steps)" in caplog.text
