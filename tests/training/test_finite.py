"""A loss that is not finite stops a training."""

import pytest
import torch

from tagseg.errors import TagsegError
from tagseg.training.finite import FiniteCheck


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_that_is_not_finite_is_named_with_its_step(bad):
    terms = {"classification": torch.tensor(1.0), "affinity": torch.tensor(bad), "energy": torch.tensor(0.0)}
    with pytest.raises(TagsegError, match=rf"^step 17: loss term 'affinity' is {bad}, expected a finite number"):
        FiniteCheck(terms, 17).require()


def test_finite_losses_pass():
    terms = {"classification": torch.tensor(1e30), "energy": torch.tensor(-3.0)}
    assert FiniteCheck(terms, 0).require() == 0
    assert FiniteCheck(terms, 0, torch.tensor(0.25)).require() == 0.25, "a quarter of the processes asks to stop"
