"""A row of the grid picture, from a network and an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tagseg.config import Config, replace
from tagseg.data.dataset import Sample
from tagseg.fsr.partition import CERTAIN_FOREGROUND, UNCERTAIN
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network
from tagseg.reporting.explain import explain

OPTIONS = {"img_size": 64, "embed_dim": 48, "depth": 3, "num_heads": 3}
TINY = NetworkConfig(
    encoder="vit_tiny_patch16_224",
    weights="none",
    encoder_options=OPTIONS,
    decoder_width=16,
    projector_width=16,
    projector_bottleneck=8,
    prototypes=8,
)


def test_every_column_has_the_images_size_and_the_mask_its_share(tmp_path: Path) -> None:
    torch.manual_seed(0)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)).save(tmp_path / "a.png")
    sample = Sample("a", tmp_path / "a.png", (1,), None)
    config = replace(Config(), mask={"block": 32, "ratio": 0.4}, cam={"scales": (1.0, 0.5)})
    network = Network(TINY, ("cat", "dog")).eval()
    row = explain(network, sample, config, plain=network)
    assert row.tags == ("dog",)
    for values in (row.cam, row.plain_cam, row.regions, row.pseudo_label, row.prediction):
        assert values is not None
        assert values.shape == (64, 96)
    assert row.cam is not None
    assert row.plain_cam is not None
    assert row.regions is not None
    assert row.pseudo_label is not None
    np.testing.assert_array_equal(row.cam, row.plain_cam)
    assert set(np.unique(row.regions)) <= {0, UNCERTAIN, CERTAIN_FOREGROUND}
    assert set(np.unique(row.pseudo_label)) <= {0, 2, 255}
    assert row.masked is not None
    assert row.masked.sum() == 3  # ceil(0.4 · 6 blocks)
    assert row.truth is None


def test_a_label_made_before_the_training_is_shown_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    given = np.random.default_rng(1).integers(0, 3, (64, 64)).astype(np.uint8)
    network = Network(TINY, ("cat", "dog")).eval()
    config = replace(Config(), mask={"block": 32})
    row = explain(network, Sample("a", tmp_path / "a.png", (0, 1), None), config, label=given)
    np.testing.assert_array_equal(row.pseudo_label, given)
