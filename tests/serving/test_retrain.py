"""Training on corrections: what supervises it, and that it begins with the run's network each time."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tagseg.config import replace
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.frozen.config import DecoderConfig, FrozenLabelConfig
from tagseg.frozen.decoder import DecoderRun, standardise, train_decoder
from tagseg.frozen.labels import training_labels
from tagseg.serving import retrain
from tagseg.serving.retrain import Corrections, retrained, steps_of

from ..conftest import CLASSES, tiny_network
from ..frozen.conftest import cached, objects
from ..training.conftest import CONV, frozen_config


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A network that learnt the labels, a configuration and features."""
    folder = tmp_path_factory.mktemp("features")
    features = cached(folder, *objects(width=48, classes=3)[:3])
    network = tiny_network(config=dataclasses.replace(CONV, tag_prior=True))
    standardise(network.decoder, features)
    labels, length = training_labels(features, corrections(features).images, FrozenLabelConfig()), DecoderRun(40, 6, 0)
    train_decoder(network.decoder, features, labels, DecoderConfig(rate=1e-2), length, torch.device("cpu"))
    network.requires_grad_(False)
    config = frozen_config(folder, folder / "run", decoder={"rate": 1e-2}, run={"steps": 500, "batch": 6})
    return network, config, features


def corrections(features, accepted=None, rejected=(), share=None):
    samples = tuple(
        Sample(str(index), Path(f"{index}.jpg"), tuple(tags.nonzero()[:, 0].tolist()))
        for index, tags in enumerate(features.tags)
    )
    return Corrections(TaggedImages("photos", CLASSES, samples, "tags"), features, accepted or {}, rejected, share)


def trained(start, wanted, report=lambda stage, fraction: None):
    return retrained(start[0], start[1], wanted, None, report, torch.device("cpu"))


def found(network, features):
    with torch.no_grad():
        return network.decoder(features.read(range(len(features))).float()).argmax(dim=1)


def surprise(network, features, label):
    """Mean cross-entropy with one label everywhere."""
    with torch.no_grad():
        logits = network.decoder(features.read(range(len(features))).float())
    return -logits.log_softmax(dim=1)[:, label].mean()


def test_accepted_masks_are_labels_and_rejected_photos_have_none(start):
    features = start[2]
    labels = training_labels(features, corrections(features).images, start[1].method.labels)
    mask = torch.full((16, 16), 2, dtype=torch.uint8)
    told = corrections(features, {3: mask}, [5, 7]).supervised(labels)
    assert torch.equal(told[3], mask)
    assert (told[[5, 7]] == 255).all()
    others = [0, 1, 2, 4, 6, 8, 9, 10, 11]
    assert torch.equal(told[others], labels[others])
    assert not (labels == 255).any(), "the labels themselves stay"


def test_the_decoder_learns_what_was_accepted(start):
    features = start[2]
    inverse = {index: torch.full((16, 16), 3, dtype=torch.uint8) for index in range(12)}
    plain, labels = trained(start, corrections(features))
    before = (found(plain, features) == 3).float().mean()
    assert before < 0.5
    other, same = trained(start, corrections(features, inverse))
    assert (found(other, features) == 3).float().mean() > before
    # How many patches that turns depends on the first weights, which differ between versions of PyTorch.
    assert surprise(other, features, 3) < surprise(plain, features, 3) / 2
    assert torch.equal(same, labels), "what tags alone say, with which the order is estimated"


def test_the_start_is_not_changed_and_the_result_depends_on_the_corrections_alone(start):
    network, _, features = start
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, _ = trained(start, corrections(features, rejected=[2]))
    trained(start, corrections(features, share=0.4))
    again, _ = trained(start, corrections(features, rejected=[2]))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    states = first.state_dict(), again.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert not first.training


def test_a_larger_share_makes_more_foreground(start):
    features = start[2]
    little, much = (trained(start, corrections(features, share=share))[1] for share in (0.1, 0.6))
    assert (much > 0).sum() > 2 * (little > 0).sum()


def test_weights_end_halfway(start, monkeypatch):
    network, features = start[0], start[2]
    halfway, _ = trained(start, corrections(features, rejected=[2]))
    monkeypatch.setattr(retrain, "WAY", 1.0)
    whole, _ = trained(start, corrections(features, rejected=[2]))
    for own, run, end in zip(*(one.decoder.parameters() for one in (halfway, network, whole)), strict=True):
        assert not torch.equal(run, end)
        torch.testing.assert_close(own, (run + end) / 2)


def test_corrected_tags_change_labels(start):
    features, tags = start[2], start[2].tags.clone()
    tags[0] = torch.tensor([0, 0, 1])
    _, labels = trained(start, corrections(dataclasses.replace(features, tags=tags)))
    assert set(labels[0].unique().tolist()) == {0, 3}


def test_steps():
    config = replace(frozen_config(".", "run"), run={"steps": 200, "batch": 16})
    assert steps_of(config, 200) == retrain.STEPS
    assert steps_of(config, 1_601) == 101, "each photo once"
    assert steps_of(config, 20_000) == 200, "no more than the run's"


def test_progress(start, monkeypatch):
    monkeypatch.setattr(retrain, "STEPS", 5)
    seen = []
    trained(start, corrections(start[2]), lambda stage, fraction: seen.append((stage, fraction)))
    assert len([stage for stage, _ in seen if stage == "decoder"]) == 6, "at the beginning, and after each step"
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(0.8)
