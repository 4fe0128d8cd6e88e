import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tagseg.errors import TagsegError
from tagseg.model.config import NetworkConfig
from tagseg.model.heads import LargeFOV, Projector, Prototypes, TagPrior


def test_the_decoder_has_the_published_layers_and_no_biases():
    decoder = LargeFOV(8, classes=4, hidden=6, dilation=5)
    shapes = [tuple(p.shape) for p in decoder.parameters()]
    assert shapes == [(6, 8, 3, 3), (6, 6, 3, 3), (4, 6, 1, 1)]
    assert decoder(torch.randn(2, 8, 7, 9)).shape == (2, 4, 7, 9)


def test_the_decoder_sees_ten_patches_far_and_no_further():
    torch.manual_seed(0)
    decoder = LargeFOV(2, classes=1, hidden=8, dilation=5)
    features = torch.randn(1, 2, 1, 31, requires_grad=True)
    decoder(features)[0, 0, 0, 15].backward()
    assert features.grad is not None
    columns = set(features.grad.abs().sum((0, 1, 2)).nonzero().flatten().tolist())
    assert columns <= {5, 10, 15, 20, 25}
    assert {5, 25} & columns


def test_prototypes_equal_a_weight_normalised_layer_with_gain_one():
    ours = Prototypes(6, 9)
    reference = nn.utils.parametrizations.weight_norm(nn.Linear(6, 9, bias=False))
    reference.parametrizations.weight.original0.data.fill_(1.0)
    reference.parametrizations.weight.original1.data.copy_(ours.direction.data)
    x = torch.randn(4, 6)
    torch.testing.assert_close(ours(x), reference(x))


def test_projections_are_cosines():
    torch.manual_seed(0)
    projector = Projector(6, 8, 5, 7)
    with torch.no_grad():
        out = projector(100 * torch.randn(50, 6))
        unit = nn.functional.normalize(projector.mlp(torch.randn(3, 6)), dim=-1)
        aligned = projector.prototypes(nn.functional.normalize(projector.prototypes.direction, dim=1))
    assert out.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(aligned.diagonal(), torch.ones(7))


def test_projecting_no_token_is_fine():
    assert Projector(6, 8, 5, 7)(torch.zeros(0, 6)).shape == (0, 7)


def test_a_tag_prior_that_is_not_fitted_changes_nothing():
    logits = torch.randn(2, 4, 3, 5)
    assert torch.equal(TagPrior(6, 3)(logits, torch.randn(2, 6, 3, 5)), logits)


def test_a_tag_prior_lowers_classes_that_the_photo_seems_not_to_show():
    prior = TagPrior(2, 3)
    with torch.no_grad():
        prior.classifier.weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0], [-4.0, -4.0]]))
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, 0, 0, 0] = 4  # its mean is 1: the first class, log-probabilities of logits 4, 0 and -4
    changed = prior(torch.zeros(1, 4, 2, 2), maps)
    expected = nn.functional.logsigmoid(torch.tensor([4.0, 0.0, -4.0])) - nn.functional.logsigmoid(torch.tensor(4.0))
    torch.testing.assert_close(changed, torch.tensor([0.0, *expected.tolist()]).view(1, 4, 1, 1).expand(1, 4, 2, 2))


@given(st.integers(0, 2**32 - 1))
def test_a_tag_prior_never_changes_what_is_foreground_by_the_likeliest_class(seed):
    generator = torch.Generator().manual_seed(seed)
    prior = TagPrior(3, 4)
    nn.init.normal_(prior.classifier.weight, generator=generator)
    logits = torch.randn(2, 5, 3, 2, generator=generator)
    maps = torch.randn(2, 3, 3, 2, generator=generator)
    with torch.no_grad():
        change = prior(logits, maps) - logits
    assert (change[:, 0] == 0).all()
    assert (change <= 0).all()
    likeliest = prior.classifier(maps.mean(dim=(2, 3))).argmax(dim=1)
    assert (change[torch.arange(2), likeliest + 1] == 0).all()


def test_a_tag_prior_is_for_the_decoder_on_both_maps():
    with pytest.raises(TagsegError, match=r"network.tag_prior is True, expected false, or network.decoder conv"):
        NetworkConfig(tag_prior=True)
