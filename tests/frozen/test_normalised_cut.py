"""The cut is the second generalised eigenvector of (D - W, D), and finds the two parts of a photo."""

import pytest
import torch
from torch.nn import functional as F

from tagseg.beyond.boundary_prior import border
from tagseg.frozen.normalised_cut import SIMILAR, WEAK, normalised_cut

from .conftest import objects


def plain_cut(features):
    """One photo, in double precision: eigenvectors of D^-1 (D - W) y = λ y, by those of the symmetric form."""
    patches = features.double().flatten(1).T
    count = len(patches)
    weights = torch.empty(count, count, dtype=torch.float64)
    for i in range(count):
        for j in range(count):
            similar = torch.cosine_similarity(patches[i], patches[j], dim=0) > SIMILAR
            weights[i, j] = 1.0 if similar else WEAK
    degree = weights.sum(1)
    laplacian = (torch.diag(degree) - weights) / (degree.sqrt()[:, None] * degree.sqrt())
    values, vectors = torch.linalg.eigh(laplacian)
    second = vectors[:, 1] / degree.sqrt()
    assert torch.allclose((degree * second - weights @ second) / degree, values[1] * second, atol=1e-9)
    assert values[2] - values[1] > 1e-3, "the second is not one of several"
    second = ((second - second.mean()) / second.std()).unflatten(0, features.shape[1:])
    return -second if second[border(*features.shape[1:])].mean() > 0 else second


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(3, 4), (5, 5)])
def test_it_is_the_second_eigenvector_of_the_generalised_problem(seed, size):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, 4, *size, generator=generator) + 0.7  # most graphs are connected by similar patches
    expected = torch.stack([plain_cut(photo) for photo in features])
    torch.testing.assert_close(normalised_cut(features).double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_an_object_is_positive_and_the_border_s_side_negative(dtype):
    _, auxiliary, _, mask = objects(noise=0.1)
    cut = normalised_cut(auxiliary[:-1].to(dtype))
    assert cut.dtype == torch.float32
    assert torch.equal(cut > 0, mask[:-1] > 0)
    assert cut.mean(dim=(1, 2)).abs().max() < 1e-5
    torch.testing.assert_close(cut.std(dim=(1, 2)), torch.ones(len(cut)), rtol=1e-4, atol=1e-4)


def test_it_knows_directions_alone_and_each_photo_by_itself():
    _, auxiliary, _, _ = objects(noise=0.1)
    cut = normalised_cut(auxiliary)
    torch.testing.assert_close(normalised_cut(auxiliary * 7), cut)
    torch.testing.assert_close(normalised_cut(auxiliary[3:4]), cut[3:4], rtol=1e-3, atol=1e-3)


SAME = {
    "equal features": torch.ones(1, 4, 5, 6),
    "nothing": torch.zeros(1, 4, 5, 6),
    "large equal ones": torch.full((1, 4, 5, 6), 6e4, dtype=torch.float16),
    "all unlike": torch.eye(30).reshape(1, 30, 5, 6),
    "all alike": 5 + torch.rand(1, 4, 5, 6, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("features", SAME.values(), ids=SAME)
def test_patches_that_are_not_told_apart_are_0(features):
    assert torch.equal(normalised_cut(features), torch.zeros(1, *features.shape[2:]))


def test_one_photo_of_equal_features_does_not_harm_the_others():
    _, auxiliary, _, _ = objects(noise=0.1)
    auxiliary[1] = 1
    cut = normalised_cut(auxiliary)
    assert cut.isfinite().all()
    assert cut[1].abs().max() == 0
    assert cut[0].abs().max() > 0


def test_a_single_row_of_patches_is_all_border():
    features = F.one_hot(torch.tensor([0, 0, 1, 1, 1]), 2).float().T[None, :, None]
    cut = normalised_cut(features)
    assert cut.isfinite().all()
    assert (cut[0, 0, :2] > 0).all() != (cut[0, 0, 2:] > 0).all()
