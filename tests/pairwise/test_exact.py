import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.errors import TagsegError
from tagseg.fast.bilateral import lattice_scale_filter
from tagseg.fast.dense_crf import dense_crf as fast_crf
from tagseg.fsr import energy
from tagseg.fsr.config import EnergyConfig
from tagseg.pairwise import exact
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.crf import dense_crf
from tagseg.pairwise.exact import check_size, exact_filter

from .conftest import draw, full_sum

EXACT_ENERGY = EnergyConfig(method="exact")


def brute_force(points, values):
    return torch.stack([full_sum(*pair) for pair in zip(points, values, strict=True)])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 2), st.integers(1, 40), st.integers(2, 50), st.floats(0.01, 8))
def test_the_filter_equals_the_full_sum_whatever_the_block_size(seed, batch, n, side, spread):
    points, values = draw(seed, batch, n, spread=spread)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(exact.BLOCK_ENTRIES, "cpu", side * side)
        result = exact_filter(points, values)
    torch.testing.assert_close(result.double(), brute_force(points, values), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 7, 8, 21])
def test_any_number_of_channels(channels):
    points, values = draw(0, 1, 60, size=channels)
    result = exact_filter(points, values)
    assert result.shape == values.shape
    torch.testing.assert_close(result.double(), brute_force(points, values), rtol=1e-4, atol=1e-4)


def test_more_points_than_a_block_holds():
    points, values = draw(0, 1, 1000)
    assert points.shape[1] ** 2 > exact.BLOCK_ENTRIES["cpu"]
    torch.testing.assert_close(exact_filter(points, values).double(), brute_force(points, values), rtol=1e-4, atol=1e-4)


def test_it_is_exact_far_from_the_origin_as_well():
    """Pixel positions and colours are far from 0; the centring keeps float32's digits."""
    points, values = draw(1, 1, 200)
    shifted = points + 100
    torch.testing.assert_close(
        exact_filter(shifted, values).double(), brute_force(shifted, values), rtol=1e-3, atol=1e-3
    )


def test_the_kernel_is_symmetric(monkeypatch):
    monkeypatch.setitem(exact.BLOCK_ENTRIES, "cpu", 16)
    points, _ = draw(2, 1, 30)
    kernel = exact_filter(points, torch.eye(30).unsqueeze(0))[0]
    torch.testing.assert_close(kernel, kernel.T)
    torch.testing.assert_close(kernel.diagonal(), torch.ones(30))


def test_mixed_precision_and_tf32_do_not_reach_it():
    """Exponents are differences of large numbers: with bfloat16's or TF32's digits the kernel would be noise."""
    points, values = draw(4, 1, 50, spread=8.0)
    expected = exact_filter(points, values)
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(exact_filter(points, values), expected)
        assert torch.get_float32_matmul_precision() == "high", "the setting is as before"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_one_point_is_its_own_neighbour():
    assert exact_filter(torch.randn(1, 1, 5), torch.tensor([[[3.0]]])).item() == pytest.approx(3.0)


def test_blocks_never_exceed_their_bound(monkeypatch):
    sizes = []
    original = torch.Tensor.exp_

    def watched(self):
        sizes.append(self.numel())
        return original(self)

    monkeypatch.setitem(exact.BLOCK_ENTRIES, "cpu", 400)
    monkeypatch.setattr(torch.Tensor, "exp_", watched)
    exact_filter(*draw(3, 2, 150))
    assert max(sizes) <= 400
    assert len(sizes) == 2 * (8 * 9 // 2), "each pair of blocks once per image"


def test_half_precision_is_filtered_in_float32():
    points, values = draw(5, 1, 40)
    result = exact_filter(points.half(), values.half())
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, exact_filter(points.half().float(), values.half().float()))


def assert_is_refused(call, points="25,600"):
    """One line with the number of points, the size of it all and what to do; and nothing was tried first."""
    tracemalloc.start()
    try:
        with pytest.raises(TagsegError) as error:
            call()
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    message = str(error.value)
    assert "\n" not in message
    for part in (f"{points} points", "2.6 GB", "at most 2 GB", "lattice", "smaller image", "GPU"):
        assert part in message


def test_more_than_two_gigabytes_of_kernel_entries_are_refused_on_a_cpu(monkeypatch):
    def never(*_):
        pytest.fail("the sum was begun")

    monkeypatch.setattr(exact, "_sum_of_blocks", never)
    assert_is_refused(lambda: check_size(25_600, "cpu"))
    assert_is_refused(lambda: exact_filter(torch.zeros(1, 25_600, 5), torch.zeros(1, 25_600, 2)))
    pixels = torch.zeros(1, 3, 160, 160, dtype=torch.uint8)
    for crf in (dense_crf, fast_crf):
        assert_is_refused(lambda crf=crf: crf(torch.full((1, 2, 160, 160), 0.5), pixels, CrfConfig(method="exact")))
    label = torch.zeros(1, 320, 320, dtype=torch.long)
    logits, image = torch.zeros(1, 2, 320, 320), torch.zeros(1, 3, 320, 320)
    for form in (energy.lattice_scale_filter, lattice_scale_filter):
        assert_is_refused(lambda form=form: energy.dense_energy(logits, image, label, EXACT_ENERGY, form))


def test_two_gigabytes_are_allowed_and_a_gpu_may_have_more():
    check_size(22_360, "cpu")
    with pytest.raises(TagsegError):
        check_size(22_361, "cpu")
    check_size(1_000_000, "cuda")


def test_the_energy_halves_the_image_before_it_counts_the_points(monkeypatch):
    """A view of 200 × 200 is 40,000 pixels, too many, but 10,000 points."""
    monkeypatch.setattr(exact, "_sum_of_blocks", lambda left, right, values: torch.zeros_like(values))
    label = torch.zeros(1, 200, 200, dtype=torch.long)
    for form in (energy.lattice_scale_filter, lattice_scale_filter):
        energy.dense_energy(torch.zeros(1, 2, 200, 200), torch.zeros(1, 3, 200, 200), label, EXACT_ENERGY, form)
