import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.pairwise import bilateral
from tagseg.pairwise.bilateral import features, gaussian_filter


def brute_force(points, values):
    kernel = torch.exp(-0.5 * torch.cdist(points.double(), points.double()) ** 2)
    return kernel @ values.double()


def draw(seed, batch, n, size=2, width=5, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    points = spread * torch.randn(batch, n, width, generator=generator)
    return points, torch.rand(batch, n, size, generator=generator)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 2), st.integers(1, 40), st.integers(2, 50), st.floats(0.01, 8))
def test_the_filter_equals_the_full_sum_whatever_the_block_size(seed, batch, n, side, spread):
    points, values = draw(seed, batch, n, spread=spread)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bilateral, "BLOCK_ENTRIES", side * side)
        result = gaussian_filter(points, values)
    torch.testing.assert_close(result.double(), brute_force(points, values), rtol=1e-3, atol=1e-4)


def test_more_points_than_a_block_holds():
    points, values = draw(0, 1, 1000)
    assert points.shape[1] ** 2 > bilateral.BLOCK_ENTRIES
    torch.testing.assert_close(
        gaussian_filter(points, values).double(), brute_force(points, values), rtol=1e-4, atol=1e-4
    )


def test_it_is_exact_far_from_the_origin_as_well():
    """Pixel positions and colours are far from 0; the centring keeps float32's digits."""
    points, values = draw(1, 1, 200)
    shifted = (points + 100).double()
    torch.testing.assert_close(
        gaussian_filter(shifted.float(), values).double(), brute_force(shifted.float(), values), rtol=1e-3, atol=1e-3
    )


def test_the_kernel_is_symmetric(monkeypatch):
    monkeypatch.setattr(bilateral, "BLOCK_ENTRIES", 16)
    points, _ = draw(2, 1, 30)
    kernel = gaussian_filter(points, torch.eye(30).unsqueeze(0))[0]
    torch.testing.assert_close(kernel, kernel.T)
    torch.testing.assert_close(kernel.diagonal(), torch.ones(30))


def test_mixed_precision_and_tf32_do_not_reach_it():
    """Exponents are differences of large numbers: with bfloat16's or TF32's digits the kernel would be noise."""
    points, values = draw(4, 1, 50, spread=8.0)
    expected = gaussian_filter(points, values)
    torch.set_float32_matmul_precision("high")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(gaussian_filter(points, values), expected)
        assert torch.get_float32_matmul_precision() == "high", "the setting is as before"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_one_point_is_its_own_neighbour():
    assert gaussian_filter(torch.randn(1, 1, 5), torch.tensor([[[3.0]]])).item() == pytest.approx(3.0)


def test_blocks_never_exceed_their_bound(monkeypatch):
    sizes = []
    original = torch.Tensor.exp_

    def watched(self):
        sizes.append(self.numel())
        return original(self)

    monkeypatch.setattr(bilateral, "BLOCK_ENTRIES", 400)
    monkeypatch.setattr(torch.Tensor, "exp_", watched)
    gaussian_filter(*draw(3, 2, 150))
    assert max(sizes) <= 400
    assert len(sizes) == 2 * (8 * 9 // 2), "each pair of blocks once per image"


def test_points_are_position_and_colour_over_their_widths():
    image = torch.arange(2 * 3 * 2 * 3).view(2, 3, 2, 3).float()
    points = features(image, sigma_xy=2.0, sigma_rgb=10.0)
    assert points.shape == (2, 6, 5)
    row, column = 1, 2
    expected = [column / 2, row / 2, *(image[1, :, row, column] / 10).tolist()]
    assert points[1, row * 3 + column].tolist() == pytest.approx(expected)
