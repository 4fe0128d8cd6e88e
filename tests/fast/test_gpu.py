"""What runs on a GPU gives what the CPU does, forward and gradient."""

import pytest
import torch

from tagseg.data.dataset import IGNORE
from tagseg.fast.bilateral import gaussian_filter, lattice_scale_filter
from tagseg.fast.dense_crf import crf_labels, dense_crf
from tagseg.fsr.config import EnergyConfig
from tagseg.fsr.energy import dense_energy
from tagseg.pairwise.config import CrfConfig
from tagseg.pairwise.lattice import pixel_features

from ..pairwise.conftest import photo, soft

pytestmark = pytest.mark.gpu
METHODS = pytest.mark.parametrize("method", ["exact", "lattice"])


@METHODS
def test_the_filter(method):
    points = pixel_features(torch.stack([photo(s, 50, 60) for s in range(2)]).float(), 40.0, 13.0)
    values = torch.rand(2, 3000, 21)
    ours = gaussian_filter(points.cuda(), values.cuda(), method).cpu()
    expected = gaussian_filter(points, values, method)
    assert (ours - expected).abs().mean() <= 1e-3 * expected.abs().mean(), "but for corners that rounding decides"


@METHODS
def test_the_crf(method):
    images = torch.stack([photo(s, 60, 70) for s in range(2)])
    probabilities = torch.stack([soft(s, 6, 60, 70) for s in range(2)])
    config = CrfConfig(method=method, negligible=0.0)
    ours, expected = dense_crf(probabilities.cuda(), images.cuda(), config), dense_crf(probabilities, images, config)
    assert ours.is_cuda
    assert (ours.cpu() - expected).abs().mean() <= 1e-3
    assert (ours.argmax(1).cpu() == expected.argmax(1)).double().mean() >= 0.998
    pictures = list(images.permute(0, 2, 3, 1).contiguous().numpy())
    labels = crf_labels(list(probabilities.cuda()), pictures, config)
    assert all((torch.from_numpy(a) == b.argmax(0).cpu()).all() for a, b in zip(labels, ours, strict=True))


@METHODS
def test_the_energy_and_its_gradient(method):
    image = torch.stack([photo(s, 60, 70) for s in range(2)]).float()
    label = torch.full((2, 60, 70), IGNORE)
    label[:, :30] = 1
    start = torch.randn(2, 5, 60, 70)
    results = []
    for device in ("cpu", "cuda"):
        logits = start.to(device, copy=True).requires_grad_()
        config = EnergyConfig(method=method)
        energy = dense_energy(logits, image.to(device), label.to(device), config, lattice_scale_filter)
        energy.backward()
        assert logits.grad is not None
        results.append((energy.item(), logits.grad.cpu().flatten()))
    (expected, gradient), (ours, ours_gradient) = results
    assert ours == pytest.approx(expected, rel=1e-2)
    assert torch.cosine_similarity(ours_gradient, gradient, dim=0) >= 0.999
