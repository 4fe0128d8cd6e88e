"""Tags of whole photos from frozen features."""

import torch

from tagseg.frozen.tag_classifiers import fit_tag_classifiers, fit_tag_prior
from tagseg.model.heads import TagPrior, pooled
from tagseg.model.network import Network

from ..conftest import TINY
from .conftest import cached, objects


def test_the_classifiers_are_at_the_minimum_of_their_loss(tmp_path):
    torch.manual_seed(0)
    network = Network(TINY, ("a", "b"), pool=0.2)
    features = cached(tmp_path, *objects(width=network.encoder.width)[:3])
    fit_tag_classifiers(network, features)
    for classifier, maps in ((network.classifier, features.final()), (network.aux_classifier, features.auxiliary())):
        values = pooled(maps.float(), 0.2).double()
        weights = classifier.weight.detach().flatten(1).double().requires_grad_()
        loss = torch.nn.functional.multilabel_soft_margin_loss(values @ weights.T, features.tags.double())
        (loss + 1e-3 * weights.square().sum(dim=1).mean()).backward()
        assert weights.grad is not None
        assert weights.grad.abs().max() < 1e-3
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_prior_tells_the_tags_of_photos_it_has_not_seen(tmp_path):
    final, auxiliary, tags, _ = objects(count=80, noise=0.1)
    features = cached(tmp_path, final[:40], auxiliary[:40], tags[:40])
    prior = TagPrior(final.shape[1] * 2, tags.shape[1])
    fit_tag_prior(prior, features)
    others = torch.cat([final[40:79], auxiliary[40:79]], dim=1)
    with torch.no_grad():
        surest = prior.classifier(others.mean(dim=(2, 3))).argmax(dim=1)
    assert (surest == tags[40:79].argmax(dim=1)).all()


def test_the_prior_does_not_depend_on_the_scale_of_the_features(tmp_path):
    final, auxiliary, tags, _ = objects(count=30)
    plain, scaled = TagPrior(32, 2), TagPrior(32, 2)
    fit_tag_prior(plain, cached(tmp_path / "a", final, auxiliary, tags))
    fit_tag_prior(scaled, cached(tmp_path / "b", 8 * final - 4, 8 * auxiliary - 4, tags))
    maps = torch.cat([final, auxiliary], dim=1).half().float().mean(dim=(2, 3))
    with torch.no_grad():
        a, b = plain.classifier(maps), scaled.classifier(8 * maps - 4)
    torch.testing.assert_close(a, b, rtol=0.02, atol=0.05)


def test_features_that_never_differ_are_no_error(tmp_path):
    flat = torch.ones(4, 3, 2, 2)
    prior = TagPrior(6, 2)
    fit_tag_prior(prior, cached(tmp_path, flat, flat, torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 2)))
    assert all(value.isfinite().all() for value in prior.parameters())
