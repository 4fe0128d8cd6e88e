"""The average of two networks' weights."""

import pytest
import torch

from tagseg.beyond.weight_average import set_to_average
from tagseg.config import Config, replace
from tagseg.errors import TagsegError
from tagseg.methods.build import build_method
from tagseg.methods.config import with_method
from tagseg.model.network import Network

from ..conftest import TINY


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_every_weight_is_between_both(share):
    torch.manual_seed(0)
    start, trained, average = (Network(TINY, ("cat", "dog")) for _ in range(3))
    set_to_average(average, start, trained, share)
    before, now = start.state_dict(), trained.state_dict()
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, share * before[name] + (1 - share) * now[name])
        assert share or torch.equal(value, now[name])


def test_the_others_stay_as_they_are():
    start, trained, average = (Network(TINY, ("cat",)) for _ in range(3))
    kept = [{name: value.clone() for name, value in one.state_dict().items()} for one in (start, trained)]
    set_to_average(average, start, trained, 0.5)
    for network, before in zip((start, trained), kept, strict=True):
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_without_a_start_there_is_nothing_to_average():
    with pytest.raises(TagsegError, match=r"beyond.start_share is 0.5, expected 0 without network.start"):
        replace(Config(), beyond={"start_share": 0.5})


def test_a_method_that_does_not_average_refuses_it():
    config = replace(
        with_method(Config(), "classifier"), network={"weights": "none", "start": "run"}, beyond={"start_share": 0.5}
    )
    with pytest.raises(TagsegError, match=r"beyond.start_share is 0.5, expected 0 with the method classifier"):
        build_method(config, ("cat",))
