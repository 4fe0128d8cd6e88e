"""Masks for a second round: of the tags alone, as large as the photos, for the training images only."""

import numpy as np
import torch
from second_round import told_label, with_masks_of

from tagseg.data import sources
from tagseg.training.train import train

from ..conftest import CLASSES, make_folder, tiny_config, tiny_network


def photo(height=37, width=50):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@torch.no_grad()
def test_a_photo_s_mask_names_its_tags_and_background_alone():
    network = tiny_network()
    label = told_label(network, photo(), (1,), 32)
    assert label.shape == (37, 50)
    assert label.dtype == torch.uint8
    assert set(label.unique().tolist()) <= {0, 2}
    assert not told_label(network, photo(), (), 32).any(), "no tag: background"


def test_a_second_round_trains_on_them_and_scores_on_true_masks(tmp_path):
    config = tiny_config(make_folder(tmp_path / "photos"), tmp_path / "run", labels={"source": "masks"})
    second = with_masks_of(tiny_network(CLASSES), config, tmp_path / "made", ("val",))
    for split, true in (("train", False), ("val", True)):
        before, after = (sources.load(c.data, split).samples for c in (config, second))
        same = [np.array_equal(a.mask(), b.mask()) for a, b in zip(before, after, strict=True)]
        assert all(same) if true else not all(same)
    assert train(second).steps == 6
