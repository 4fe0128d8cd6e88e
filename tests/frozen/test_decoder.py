"""The decoder learns separable features, the same way each time, and stops at a loss that is not finite."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.errors import NonFiniteLoss
from tagseg.frozen import decoder as decoder_file
from tagseg.frozen.config import DecoderConfig
from tagseg.frozen.decoder import DecoderRun, segmentation_loss, standardise, train_decoder
from tagseg.model.heads import ConvDecoder, Standardise

from .conftest import GRID, cached, objects

CPU = torch.device("cpu")
CONFIG = DecoderConfig(rate=1e-2)


@pytest.fixture
def labelled(tmp_path):
    final, auxiliary, tags, mask = objects()
    labels = mask.repeat_interleave(2, 1).repeat_interleave(2, 2).to(torch.uint8)
    return cached(tmp_path / "cache", final, auxiliary, tags), labels


def new_decoder(features, classes=3):
    torch.manual_seed(0)
    decoder = ConvDecoder(2 * features.width, classes, 8)
    standardise(decoder, features)
    return decoder


def trained(features, labels, steps=30, batch=4, seed=0):
    decoder = new_decoder(features)
    return decoder, train_decoder(decoder, features, labels, CONFIG, DecoderRun(steps, batch, seed), CPU)


def equal(first, second):
    return all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_the_features_are_standardised(features):
    decoder = new_decoder(features)
    layer = decoder[0]
    assert isinstance(layer, Standardise)
    maps = torch.cat(list(features.batches())).float()
    torch.testing.assert_close(layer.mean, maps.mean((0, 2, 3))[:, None, None], rtol=1e-4, atol=1e-4)
    standard = layer(maps)
    torch.testing.assert_close(standard.std((0, 2, 3), correction=0), torch.ones(32), rtol=1e-3, atol=1e-3)


def test_statistics_of_a_large_collection_are_of_some_photos_from_first_to_last(features, monkeypatch):
    monkeypatch.setattr(decoder_file, "STATISTICS", 2)
    mean = new_decoder(features)[0].mean
    maps = features.read([0, len(features) - 1]).float()
    torch.testing.assert_close(mean, maps.mean((0, 2, 3))[:, None, None], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 300.0])
def test_equal_features_stay_finite(tmp_path, value):
    maps = torch.full((2, 4, GRID, GRID), value)
    features = cached(tmp_path, maps, maps, torch.ones(2, 1))
    layer = new_decoder(features)[0]
    assert layer(features.read([0]).float()).abs().max() < 1


def test_the_same_seed_gives_the_same_weights_and_another_others(labelled):
    features, labels = labelled
    first, loss = trained(features, labels)
    torch.manual_seed(123)  # what was drawn before does not matter
    torch.rand(5)
    decoder = ConvDecoder(32, 3, 8)
    decoder.load_state_dict(new_decoder(features).state_dict())
    torch.manual_seed(77)
    again = train_decoder(decoder, features, labels, CONFIG, DecoderRun(30, 4, 0), CPU)
    assert again == loss
    assert equal(first, decoder)
    assert not equal(first, trained(features, labels, seed=1)[0])


def test_it_draws_nothing_from_the_caller_s_generator(labelled):
    features, labels = labelled
    decoder = new_decoder(features)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_decoder(decoder, features, labels, CONFIG, DecoderRun(3, 4, 0), CPU)
    assert torch.equal(torch.rand(3), expected)


def test_the_loss_falls_and_the_labels_are_learnt(labelled):
    features, labels = labelled
    _, early = trained(features, labels, steps=2)
    decoder, late = trained(features, labels, steps=100)
    assert late < 0.2 * early
    assert not decoder.training
    with torch.no_grad():
        full = F.interpolate(decoder(features.read(range(12)).float()), labels.shape[1:], mode="bilinear")
    assert (full.argmax(dim=1) == labels).float().mean() > 0.95


def test_the_loss_that_is_returned_is_the_mean_of_the_last_tenth(labelled, monkeypatch):
    features, labels = labelled
    losses: list[float] = []
    real = decoder_file.segmentation_loss

    def noted(*arguments):
        loss = real(*arguments)
        losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(decoder_file, "segmentation_loss", noted)
    assert trained(features, labels, steps=30)[1] == pytest.approx(sum(losses[-3:]) / 3)
    losses.clear()
    assert trained(features, labels, steps=1)[1] == losses[0]


def test_every_photo_is_drawn_before_any_again(labelled, monkeypatch):
    features, labels = labelled
    drawn: list[str] = []
    real = features.cache.read
    decoder = new_decoder(features)
    monkeypatch.setattr(features.cache, "read", lambda contents: drawn.extend(contents) or real(contents))
    train_decoder(decoder, features, labels, CONFIG, DecoderRun(6, 5, 0), CPU)
    assert len(drawn) == 30
    assert sorted(drawn[:12]) == sorted(drawn[12:24]) == sorted(features.contents)
    assert drawn[:12] != drawn[12:24]


def test_a_batch_may_be_larger_than_the_collection(labelled):
    features, labels = labelled
    assert trained(features, labels, steps=2, batch=30)[1] > 0


def test_ignored_pixels_do_not_count(labelled):
    features, labels = labelled
    hidden = labels.clone()
    hidden[labels == 2] = IGNORE
    other = hidden.clone()
    decoder, _ = trained(features, other)
    with torch.no_grad():
        predicted = decoder(features.read(range(12)).float()).argmax(dim=1)
    assert (predicted != 2).all(), "a class whose pixels are all ignored is never predicted"


def test_labels_that_are_all_ignored_teach_nothing(labelled):
    features, labels = labelled
    assert trained(features, torch.full_like(labels, IGNORE))[1] == 0


def test_the_loss_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    nothing = torch.tensor([[[0, IGNORE]]])
    assert segmentation_loss(logits, nothing) == pytest.approx(-(torch.tensor([2.0, 0.0]).log_softmax(0)[0]).item())
    both = torch.tensor([[[0, 0]]])
    expected = -(torch.tensor([2.0, 0.0]).log_softmax(0)[0] + torch.tensor([0.0, 1.0]).log_softmax(0)[0]) / 2
    assert segmentation_loss(logits, both) == pytest.approx(expected.item())
    assert segmentation_loss(logits, torch.full((1, 1, 2), IGNORE)) == 0
    finer = both.repeat_interleave(2, 1).repeat_interleave(2, 2)
    interpolated = F.interpolate(logits, (2, 4), mode="bilinear")
    assert segmentation_loss(logits, finer) == pytest.approx(F.cross_entropy(interpolated, finer).item())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_stop_it_in_one_line(tmp_path, value):
    final, auxiliary, tags, mask = objects()
    decoder = new_decoder(cached(tmp_path / "good", final, auxiliary, tags))
    final[3, 2] = value
    features = cached(tmp_path / "bad", final, auxiliary, tags)
    labels = mask.to(torch.uint8)
    with pytest.raises(NonFiniteLoss, match=r"^step \d of the decoder: the loss is nan.*--decoder.rate") as caught:
        train_decoder(decoder, features, labels, CONFIG, DecoderRun(20, 4, 0), CPU)
    assert "\n" not in str(caught.value)
