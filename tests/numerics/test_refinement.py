"""PAR and the dense CRF keep probabilities, on any photo, shape and number of classes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagseg.fast import dense_crf as fast_crf
from tagseg.fast import par as fast_par
from tagseg.fsr import par as plain_par
from tagseg.fsr.config import LabelConfig
from tagseg.pairwise import crf as plain_crf
from tagseg.pairwise.config import CrfConfig

from .examples import CLASSES, KINDS, PHOTOS, PRECISIONS, SEEDS, assert_finite, examples, photos, sides, values


@pytest.mark.parametrize("refine", [plain_par.refine, fast_par.refine], ids=["plain", "fast"])
@examples(10)
@given(
    st.integers(1, 2), CLASSES, st.tuples(sides(9), sides(9)), KINDS, PHOTOS, st.integers(0, 4),
    st.sampled_from([0.0, 0.01, 0.5]), st.sampled_from([0.001, 0.3, 10.0]), PRECISIONS, SEEDS,
)  # fmt: skip
def test_par(refine, count, classes, size, kind, photo, iterations, position, sharpness, dtype, seed):
    """Its weights sum to 1 and the weight of the position term, so probabilities sum to a power of that."""
    config = LabelConfig(
        refine_iterations=iterations, refine_spatial_weight=position, refine_sharpness=sharpness,
        refine_dilations=(1, 2, 24),
    )  # fmt: skip
    image = (photos(count, size, photo, seed).float() / 255).to(dtype)
    planes = values((count, classes + 1, *size), kind, seed).softmax(dim=1)
    refined = refine(image, planes, config) / (1 + position) ** iterations
    assert_finite(refined=refined)
    assert refined.min() >= 0
    assert refined.max() <= 1 + 1e-4
    torch.testing.assert_close(refined.sum(dim=1), torch.ones(count, *size), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("refine", [plain_par.refine, fast_par.refine], ids=["plain", "fast"])
def test_par_of_a_photo_of_one_colour_in_half_precision(refine):
    """1e-8 is 0 in float16."""
    planes = torch.full((1, 2, 6, 5), 0.5)
    refined = refine(torch.full((1, 3, 6, 5), 0.3, dtype=torch.float16), planes, LabelConfig(refine_iterations=1))
    torch.testing.assert_close(refined, 1.01 * planes)


@pytest.mark.parametrize("dense_crf", [plain_crf.dense_crf, fast_crf.dense_crf], ids=["plain", "fast"])
@examples(10)
@given(
    st.integers(1, 2), CLASSES, st.tuples(sides(9), sides(9)), KINDS, PHOTOS, PRECISIONS, st.integers(0, 10),
    st.sampled_from([0.0, 4.0, 500.0]), st.sampled_from(["lattice", "exact"]), st.sampled_from([0.0, 1e-3, 0.1]), SEEDS,
)  # fmt: skip
def test_the_dense_crf(
    dense_crf, count, classes, size, kind, photo, dtype, iterations, weight, method, negligible, seed
):
    config = CrfConfig(
        iterations=iterations, bilateral_weight=weight, gaussian_weight=weight / 4, method=method, negligible=negligible
    )
    planes = values((count, classes + 1, *size), kind, seed).softmax(dim=1).to(dtype)
    marginals = dense_crf(planes, photos(count, size, photo, seed), config)
    assert marginals.dtype == torch.float32
    assert_finite(marginals=marginals)
    assert marginals.min() >= 0
    assert marginals.max() <= 1 + 1e-5
    rounding = 1e-3 if dtype == torch.float32 else 0.05  # without an iteration a class's share is as it was given
    torch.testing.assert_close(marginals.sum(dim=1), torch.ones(count, *size), rtol=rounding, atol=rounding)
