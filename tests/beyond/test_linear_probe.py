"""Classifiers fitted to the tags before the first step."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.beyond import linear_probe as probe_file
from tagseg.beyond.linear_probe import fit_classifiers, logistic_regression, pooled_features
from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.loaders import WholeImages
from tagseg.errors import TagsegError
from tagseg.methods.fsr import FSR
from tagseg.training.train import train

from ..conftest import make_folder, tiny_config

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def problem(count=60, width=7, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=generator)
    truth = torch.randn(classes, width, generator=generator)
    return features, (features @ truth.T + 0.5 * torch.randn(count, classes, generator=generator) > 0).float()


def objective(weights, features, tags, decay):
    return F.multilabel_soft_margin_loss(features @ weights.T, tags) + decay * weights.square().sum(1).mean()


@pytest.mark.parametrize("decay", [1e-3, 1e-1])
def test_the_regression_is_at_the_minimum_of_its_loss(decay):
    features, tags = problem()
    weights = logistic_regression(features, tags, decay).double().requires_grad_()
    objective(weights, features.double(), tags.double(), decay).backward()
    assert weights.grad is not None
    assert weights.grad.norm() < 1e-4


def test_a_class_that_every_or_no_image_has_stays_finite():
    features, tags = problem()
    tags[:, 0], tags[:, 1] = 0, 1
    weights = logistic_regression(features.abs(), tags)
    assert weights.isfinite().all()
    assert ((features.abs() @ weights.T)[:, 0] < 0).float().mean() > 0.9
    assert ((features.abs() @ weights.T)[:, 1] > 0).float().mean() > 0.9


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_it_is_fitted_to_what_the_classifiers_see(tagged_folder, tmp_path, share):
    config = tiny_config(tagged_folder, tmp_path, network={"drop_path": 0.5}, beyond={"pool": share})
    images = sources.load(config.data, "train")
    module = FSR(config, images.classes)
    before = {name: p.clone() for name, p in module.student.named_parameters()}
    (final, auxiliary), tags = pooled_features(module.student, images, config.views.size, config.run)
    fit_classifiers(module.student, images, config.views.size, config.run, CPU)
    changed = {name for name, p in module.student.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"classifier.weight", "aux_classifier.weight"}
    assert tags.tolist() == images.tag_matrix().tolist()
    for features, classifier in ((final, module.student.classifier), (auxiliary, module.student.aux_classifier)):
        zero = torch.zeros_like(classifier.weight).flatten(1)
        fitted = objective(classifier.weight.flatten(1).detach(), features, tags, 0.0)
        assert fitted < objective(zero, features, tags, 0.0)
    module.student.eval()
    whole = WholeImages(images, config.views.size)
    batch = torch.stack([whole[index][0] for index in range(3)])
    logits, aux_logits = module.student.classify(module.student.encoder(module.student.normalise(batch)))
    torch.testing.assert_close(logits, F.linear(final[:3], module.student.classifier.weight.flatten(1)))
    torch.testing.assert_close(aux_logits, F.linear(auxiliary[:3], module.student.aux_classifier.weight.flatten(1)))


def test_of_a_large_collection_some_are_read_at_even_distances(tagged_folder, monkeypatch, caplog):
    caplog.set_level("INFO", "tagseg")
    monkeypatch.setattr(probe_file, "MOST_IMAGES", 4)
    config = tiny_config(tagged_folder, tagged_folder)
    images = sources.load(config.data, "train")
    assert [s.name for s in images.every(2).samples] == [s.name for s in images.samples[::2]]
    fit_classifiers(FSR(config, images.classes).student, images, config.views.size, config.run, CPU)
    assert "features of 3 images" in caplog.text


def test_a_training_starts_with_them_in_both_networks_and_a_resumed_one_does_not_fit_again(
    tagged_folder, tmp_path, caplog
):
    caplog.set_level("INFO", "tagseg")
    config = tiny_config(tagged_folder, tmp_path / "run", beyond={"fit_classifiers": True})
    train(config)
    assert "fitting the classifiers to the pretrained features of 6 images" in caplog.text
    caplog.clear()
    train(replace(config, run={"steps": 8}), tmp_path / "run")
    assert "fitting" not in caplog.text

    images = sources.load(config.data, "train")
    module = FSR(config, images.classes)
    module.before_first_step(images, tmp_path, CPU, resumed=False, keep=False)
    for ours, theirs in zip(module.student.parameters(), module.teacher.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert not theirs.requires_grad


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_cannot_be_read_is_one_line(tmp_path, workers):
    root = make_folder(tmp_path / "photos")
    (root / "images" / "train3.jpg").write_bytes(b"no photo")
    config = tiny_config(root, tmp_path / "run", beyond={"fit_classifiers": True}, run={"workers": workers})
    with pytest.raises(TagsegError, match=r"train3\.jpg") as caught:
        train(config)
    assert "\n" not in str(caught.value)
