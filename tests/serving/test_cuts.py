"""Normalised cuts are computed once, kept beside the features, and change no label."""

import dataclasses

import torch

from tagseg.frozen.foreground import fit_foreground
from tagseg.frozen.labels import fit_to_some, foreground_planes
from tagseg.frozen.normalised_cut import normalised_cut
from tagseg.serving import cuts
from tagseg.serving.cuts import normalised_cuts

from ..frozen.conftest import cached, content, objects


def test_they_are_those_of_the_features(tmp_path):
    features = cached(tmp_path / "cache", *objects()[:3])
    found = normalised_cuts(features)
    torch.testing.assert_close(found, normalised_cut(features.auxiliary()), rtol=0, atol=2e-3)


def test_only_missing_ones_are_computed(tmp_path, monkeypatch):
    counts = []
    real = normalised_cut
    monkeypatch.setattr(cuts, "normalised_cut", lambda maps: counts.append(len(maps)) or real(maps))
    features = cached(tmp_path / "cache", *objects()[:3])
    first = normalised_cuts(dataclasses.replace(features, contents=features.contents[:5], tags=features.tags[:5]))
    again = normalised_cuts(features)
    assert counts == [5, 7]
    assert torch.equal(again[:5], first)
    assert torch.equal(normalised_cuts(features), again)
    assert counts == [5, 7]


def test_a_photo_that_is_there_twice_has_one(tmp_path):
    features = cached(tmp_path / "cache", *objects()[:3])
    twice = dataclasses.replace(features, contents=(content(0), content(1), content(0)), tags=features.tags[:3])
    found = normalised_cuts(twice)
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


def test_given_cuts_are_used_in_fit_and_labels(tmp_path):
    features = cached(tmp_path / "cache", *objects()[:3])
    known = dataclasses.replace(features, cuts=normalised_cut(features.auxiliary()))
    plain = foreground_planes(features, fit_to_some(features, 0.0), range(3, 9))
    torch.testing.assert_close(foreground_planes(known, fit_to_some(known, 0.0), range(3, 9)), plain)
    other = dataclasses.replace(known, cuts=-known.cuts)
    assert not torch.allclose(foreground_planes(other, fit_to_some(other, 0.0), range(3, 9)), plain)
    final, auxiliary = features.maps(range(12))
    told = fit_foreground(final, auxiliary, features.tags, 0.0, cuts=-known.cuts)
    assert not torch.allclose(told.position, fit_foreground(final, auxiliary, features.tags, 0.0).position)
