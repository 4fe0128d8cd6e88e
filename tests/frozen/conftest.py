"""What tests of frozen mode share: features whose objects are known, and features in a cache."""

import hashlib

import pytest
import torch

from tagseg.frozen.cache import FeatureCache
from tagseg.frozen.features import FrozenFeatures

GRID = 8


def objects(count=12, classes=2, width=16, seed=0, noise=0.3):
    """Final and auxiliary maps, tags and patch masks: one object of 3×3 patches inside each photo, the last one empty.

    Background is one direction, each class another.
    """
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(count, GRID, GRID, dtype=torch.long)
    tags = torch.zeros(count, classes)
    for index in range(count - 1):
        top, left = torch.randint(1, GRID - 3, (2,), generator=generator).tolist()
        mask[index, top : top + 3, left : left + 3] = index % classes + 1
        tags[index, index % classes] = 1
    maps = []
    for _ in range(2):
        directions = torch.linalg.qr(torch.randn(width, classes + 1, generator=generator))[0].T * 3
        clean = directions[mask].permute(0, 3, 1, 2)
        maps.append(clean + noise * torch.randn(clean.shape, generator=generator))
    return maps[0], maps[1], tags, mask


def content(index):
    return hashlib.blake2b(str(index).encode(), digest_size=16).hexdigest()


def cached(folder, final, auxiliary, tags):
    """The features in a cache, as ``frozen_features`` leaves them."""
    rows = torch.cat([final, auxiliary], dim=1).half()
    cache = FeatureCache(folder, tuple(rows.shape[1:]))
    contents = tuple(content(index) for index in range(len(rows)))
    with cache.writer(len(rows)) as writer:
        writer.add(contents, rows)
    return FrozenFeatures(cache, contents, tags)


@pytest.fixture
def features(tmp_path):
    return cached(tmp_path / "cache", *objects()[:3])
