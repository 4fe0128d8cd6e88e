"""One step of the walk against a loop."""

import pytest
import torch

from tagseg.frozen.random_walk import POWER, random_walk


def plain_walk(scores, features):
    """One photo, patch by patch."""
    patches, flat = features.flatten(1).T, scores.flatten()
    walked = []
    for one in patches:
        total = weight = 0.0
        for other, score in zip(patches, flat, strict=True):
            similar = max(0.0, torch.cosine_similarity(one, other, dim=0).item()) ** POWER
            total += similar * score.item()
            weight += similar
        walked.append(total / weight)
    return torch.tensor(walked).unflatten(0, scores.shape)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_plain_form(seed):
    generator = torch.Generator().manual_seed(seed)
    scores, features = torch.randn(3, 4, 5, generator=generator), torch.randn(3, 6, 4, 5, generator=generator)
    expected = torch.stack([plain_walk(*photo) for photo in zip(scores, features, strict=True)])
    torch.testing.assert_close(random_walk(scores, features), expected, rtol=1e-4, atol=1e-5)


def test_by_hand_unlike_patches_do_not_mix_and_equal_ones_share_the_mean():
    features = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 0.0, 3.0, 0.0]])[None, :, None]
    scores = torch.tensor([[[1.0, 5.0, 7.0, 100.0]]])
    torch.testing.assert_close(random_walk(scores, features), torch.tensor([[[3.0, 3.0, 7.0, 100.0]]]))


def test_equal_features_give_the_mean_of_the_photo_and_no_features_0():
    scores = torch.randn(2, 3, 3)
    mean = scores.mean(dim=(1, 2), keepdim=True).expand(-1, 3, 3)
    torch.testing.assert_close(random_walk(scores, torch.ones(2, 4, 3, 3)), mean)
    assert torch.equal(random_walk(scores, torch.zeros(2, 4, 3, 3)), torch.zeros(2, 3, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_scores_and_features(dtype):
    scores, features = torch.randn(2, 3, 3).to(dtype), torch.randn(2, 4, 3, 3).to(dtype)
    walked = random_walk(scores, features)
    assert walked.dtype == torch.float32
    torch.testing.assert_close(walked, random_walk(scores.float(), features.float()))


def test_a_walk_stays_within_the_range_of_the_scores():
    scores = torch.rand(2, 5, 5)
    walked = random_walk(scores, torch.randn(2, 4, 5, 5))
    assert walked.min() >= scores.min()
    assert walked.max() <= scores.max()
