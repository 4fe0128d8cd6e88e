"""Every experiment can be run: its settings exist, and the variants that it names do too."""

import pytest
from definitions import EXPERIMENTS, joined

from tagseg.config import replace


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_settings_of_every_variant_exist_and_it_is_compared_with_one_before_it(name):
    experiment = EXPERIMENTS[name]
    base, before = experiment.base(), []
    for variant, settings in experiment.variants.items():
        replace(base, **settings.changes)
        assert not settings.against or settings.against in before
        before.append(variant)
    assert {experiment.baseline, experiment.bound} <= {*before, ""}


def test_changes_are_joined_within_their_sections():
    ours = joined({"a": {"x": 1, "y": 2}}, {"b": {"z": 3}}, {"a": {"y": 4}})
    assert ours == {"a": {"x": 1, "y": 4}, "b": {"z": 3}}
