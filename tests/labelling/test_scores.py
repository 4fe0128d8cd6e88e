import pytest
import torch

from tagseg.labelling.scores import told_the_tags


def test_the_foreground_that_was_taken_for_other_classes_goes_to_the_own():
    logits = torch.log(torch.tensor([0.4, 0.1, 0.3, 0.2])).view(4, 1, 1)
    assert torch.allclose(told_the_tags(logits, (0, 1)).softmax(dim=0).flatten(), torch.tensor([0.4, 0.6]))
    assert torch.allclose(told_the_tags(logits, (0, 1, 3)).softmax(dim=0).flatten(), torch.tensor([0.4, 0.2, 0.4]))


@pytest.mark.parametrize("labels", [(0, 2), (0, 1, 3), (0, 1, 2, 3)])
def test_the_probability_of_the_background_stays(labels):
    logits = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0)) * 10
    own = told_the_tags(logits, labels)
    assert own.shape == (len(labels), 5, 6)
    assert torch.allclose(own.softmax(dim=0)[0], logits.softmax(dim=0)[0], atol=1e-6)


def test_with_all_classes_nothing_changes():
    logits = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(told_the_tags(logits, (0, 1, 2)), logits, atol=1e-6)
