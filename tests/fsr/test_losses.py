"""Classification, segmentation and affinity loss: values by hand, and never NaN."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fsr.losses import affinity_loss, affinity_pairs, classification_loss, segmentation_loss


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_classification_is_the_cross_entropy_of_each_tag_on_both_heads():
    logits, aux, tags = draw(3, 4), draw(3, 4, seed=1), (draw(3, 4, seed=2) > 0).float()
    expected = F.binary_cross_entropy_with_logits(logits, tags) + F.binary_cross_entropy_with_logits(aux, tags)
    torch.testing.assert_close(classification_loss(logits, aux, tags), expected)


@pytest.mark.parametrize("tag", [0.0, 1.0])
def test_classification_of_sure_logits_is_finite(tag):
    logits = torch.full((2, 3), 1e4, requires_grad=True)
    loss = classification_loss(logits, -logits, torch.full((2, 3), tag))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_segmentation_weighs_background_and_foreground_alike():
    logits = draw(1, 3, 2, 3)
    label = torch.tensor([[[0, 1, 2], [2, IGNORE, 0]]])
    log = logits.log_softmax(1)[0]
    background = -(log[0, 0, 0] + log[0, 1, 2]) / 2
    foreground = -(log[1, 0, 1] + log[2, 0, 2] + log[2, 1, 0]) / 3
    torch.testing.assert_close(segmentation_loss(logits, label), 0.5 * background + 0.5 * foreground)


def loss_and_gradient(loss, leaf):
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    return value.item(), gradient


@pytest.mark.parametrize("only", [0, 2, IGNORE])
def test_segmentation_of_a_batch_that_lacks_background_or_foreground(only):
    label = torch.full((2, 4, 4), only)
    value, gradient = loss_and_gradient(lambda x: segmentation_loss(x, label), draw(2, 3, 4, 4).requires_grad_())
    if only == IGNORE:
        assert value == 0
        assert not gradient.any()
    else:
        expected = 0.5 * F.cross_entropy(draw(2, 3, 4, 4), label)
        assert value == pytest.approx(expected.item())
        assert gradient.any()


def test_an_ignored_pixel_with_an_infinite_logit_does_not_spread():
    logits = draw(1, 3, 1, 2)
    logits[0, 0, 0, 1] = torch.inf
    value = segmentation_loss(logits, torch.tensor([[[1, IGNORE]]]))
    assert torch.isfinite(value)


def plain_affinity(features, label):
    positive: list[Tensor] = []
    negative: list[Tensor] = []
    for f, la in zip(features.flatten(2), label.flatten(1), strict=True):
        for i in range(len(la)):
            for j in range(len(la)):
                if i != j and la[i] != IGNORE and la[j] != IGNORE:
                    (positive if la[i] == la[j] else negative).append(
                        F.cosine_similarity(f[:, i], f[:, j], dim=0).abs()
                    )
    return 0.5 * (1 - sum(positive) / (len(positive) + 1)) + 0.5 * sum(negative) / (len(negative) + 1)


def test_affinity_equals_a_plain_loop_over_pairs():
    features = draw(2, 5, 3, 3)
    label = torch.tensor([[[0, 0, 1], [1, IGNORE, 2], [0, 1, 1]], [[0, 0, 0], [0, 0, 0], [0, 3, IGNORE]]])
    torch.testing.assert_close(affinity_loss(features, label), plain_affinity(features, label))


def test_affinity_does_not_depend_on_the_length_of_features():
    features, label = draw(1, 5, 2, 2), torch.tensor([[[0, 0], [1, 1]]])
    torch.testing.assert_close(affinity_loss(features * 7, label), affinity_loss(features, label))


DEGENERATE = {
    "everything ignored": [[IGNORE, IGNORE], [IGNORE, IGNORE]],
    "no positive pair": [[0, 1], [2, 3]],
    "no negative pair": [[1, 1], [1, 1]],
    "one known patch": [[1, IGNORE], [IGNORE, IGNORE]],
}


@pytest.mark.parametrize("label", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_affinity_of_a_batch_that_lacks_pairs_or_features(label, scale):
    leaf = (scale * draw(1, 4, 2, 2)).requires_grad_()
    value, gradient = loss_and_gradient(lambda x: affinity_loss(x, torch.tensor([label])), leaf)
    if label in (DEGENERATE["everything ignored"], DEGENERATE["one known patch"]):
        assert value == 0.5, "the constant of the formula"
        assert not gradient.any()


def test_pairs_are_symmetric_disjoint_and_never_of_a_patch_with_itself():
    label = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(0))
    label[0, 0] = IGNORE
    same, different = affinity_pairs(label)
    assert not (same & different).any()
    assert torch.equal(same, same.transpose(1, 2))
    assert not same.diagonal(dim1=1, dim2=2).any()
    assert not (same | different)[0, :4].any()
