"""Every experiment can be run: its settings exist, and the variants that it names do too."""

import pytest
from definitions import EXPERIMENTS, joined

from tagseg.config import replace


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_variant_s_settings_exist_and_its_first_round_comes_before_it(name):
    experiment = EXPERIMENTS[name]
    base, before = experiment.base(), []
    for variant, settings in experiment.variants.items():
        config = replace(base, **settings.changes)
        assert not settings.after or config.labels.source == "masks", "a second round trains on the masks of the first"
        assert not settings.after or settings.after in before
        assert not settings.against or settings.against in before
        before.append(variant)
    assert {experiment.baseline, experiment.bound} <= {*before, ""}


def test_changes_are_joined_within_their_sections():
    ours = joined({"a": {"x": 1, "y": 2}}, {"b": {"z": 3}}, {"a": {"y": 4}})
    assert ours == {"a": {"x": 1, "y": 4}, "b": {"z": 3}}
