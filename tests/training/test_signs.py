"""Signs of life of a step's outputs, by hand and against the long way."""

import math

import pytest
import torch
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.fsr.losses import Outputs
from tagseg.training.signs import ranked_pairs, segmentation_signs, shown, signs_of, with_similarity


def outputs(logits, **more):
    return Outputs(torch.tensor(logits), torch.randn(len(logits), 5, 2, 2), **more)


def similarity_of(*batches):
    """Of the patches of images that processes share equally."""
    logits = torch.zeros(len(batches[0]), 2)
    each = [signs_of(Outputs(logits, patches), torch.ones_like(logits)) for patches in batches]
    means = {name: torch.stack([signs[name] for signs in each]).mean(dim=0) for name in each[0]}
    return with_similarity(means, sum(map(len, batches))).get("similarity")


def test_the_similarity_is_the_mean_over_all_pairs_of_patches_of_different_images():
    patches = torch.randn(4, 5, 2, 4, generator=torch.Generator().manual_seed(0)) + 0.5
    unit = F.normalize(patches.flatten(2), dim=1).transpose(1, 2)  # (4, 8, 5)
    expected = torch.stack([unit[i] @ unit[j].T for i in range(4) for j in range(4) if i != j]).mean()
    torch.testing.assert_close(similarity_of(patches), expected)
    torch.testing.assert_close(similarity_of(patches[:2], patches[2:]), expected)
    torch.testing.assert_close(similarity_of(*patches.split(1)), expected)
    assert similarity_of(torch.ones(2, 5, 2, 2)).item() == pytest.approx(1)
    assert similarity_of(patches[:1]) is None, "one image has no other to be similar to"


def test_the_ranked_pairs_are_the_area_under_the_curve():
    generator = torch.Generator().manual_seed(0)
    logits, tags = torch.randn(6, 1, generator=generator), torch.tensor([[1.0], [0], [1], [0], [0], [1]])
    wins = [float(a > b) for a in logits[tags > 0] for b in logits[tags == 0]]
    assert ranked_pairs(logits, tags).tolist() == [sum(wins), 9]
    assert ranked_pairs(torch.zeros(6, 1), tags).tolist() == [4.5, 9], "equal ones count half"
    assert ranked_pairs(logits[:1], tags[:1]).tolist() == [0, 0]


def test_tags_are_counted_by_image():
    tags = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    signs = signs_of(outputs([[-1.0, 2.0], [-1.0, -2.0], [3.0, 0.0], [-1.0, -1.0]]), tags)
    assert signs["tagged"] == 0.75
    assert signs["found"] == 0.25, "the untagged image with a positive logit does not count"
    assert signs["tag_logit"].item() == pytest.approx((2 - 1 + 3 - 1) / 4)
    assert signs["tags"].tolist() == [0.5, 0.5]
    assert "predicted" not in signs


def test_labels_are_those_of_patch_centres_and_losses_of_background_and_the_rest_are_apart():
    label = torch.zeros(1, 4, 4, dtype=torch.int64)
    label[:, :2, 2:], label[:, 2:, :2] = 2, IGNORE
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 1] = 1.0
    signs = segmentation_signs(logits, label)
    assert signs["predicted"].tolist() == [0, 1, 0]
    assert signs["labels"].tolist() == [0.5, 0, 0.25]
    each = math.log(2 + math.e)
    assert signs["label_losses"].tolist() == pytest.approx([0.5 * each, 0.25 * each])


def test_equal_logits_are_one_label_everywhere():
    signs = segmentation_signs(torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 4, dtype=torch.int64))
    assert signs["predicted"].tolist() == [1, 1, 1]


def test_they_take_no_gradient_no_random_number_and_no_half_precision():
    logits = torch.randn(2, 3, requires_grad=True)
    patches = torch.randn(2, 4, 2, 2, requires_grad=True).bfloat16()
    scores = torch.randn(2, 4, 2, 2, requires_grad=True).bfloat16()
    state = torch.get_rng_state()
    signs = signs_of(
        Outputs(logits.bfloat16(), patches, scores, torch.zeros(2, 8, 8, dtype=torch.int64)), torch.ones(2, 3)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in signs.values())
    assert set(shown(with_similarity(signs, 2))) == {
        "signs/tag_logit",
        "signs/feature_similarity",
        "signs/commonest_label_share",
    }
