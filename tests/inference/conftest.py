"""A tiny random network and tiny images of every kind a folder of photos may hold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.inference.outputs import Prediction
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network

CLASSES = ("circle", "square", "triangle")


def tiny_network(classes: tuple[str, ...] = CLASSES, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    config = NetworkConfig(
        encoder="vit_tiny_patch16_224",
        weights="none",
        encoder_options={"img_size": 64, "embed_dim": 48, "depth": 3, "num_heads": 3},
        decoder_width=16,
        projector_width=32,
        projector_bottleneck=16,
        prototypes=16,
    )
    return Network(config, classes).eval()


@pytest.fixture(scope="session")
def network() -> Network:
    return tiny_network()


def mask_of(prediction: Prediction) -> Path:
    """The mask that was written."""
    assert prediction.mask is not None
    return prediction.mask


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Grey, RGBA, 16-bit, EXIF-rotated, 1-pixel, elongated, non-ASCII, in a sub-folder; all valid."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    colour = Image.fromarray(photo(40, 60))
    colour.save(folder / "plain.jpg")
    colour.convert("L").save(folder / "grey.png")
    colour.convert("RGBA").save(folder / "rgba.png")
    Image.fromarray(np.linspace(0, 65535, 30 * 20).reshape(30, 20).astype(np.uint16)).save(folder / "deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    colour.save(folder / "turned.jpg", exif=turned)
    Image.fromarray(photo(1, 1)).save(folder / "one.png")
    Image.fromarray(photo(1, 90)).save(folder / "thin.png")
    colour.save(folder / "sub" / "Größe 図.jpg")
    return folder


def blocks(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy photo of patches that are dark, red, green or blue, and each patch's label."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, len(CLASSES) + 1, (-(-height // 32), -(-width // 32)))
    labels = coarse.repeat(2, axis=0).repeat(2, axis=1)[: height // 16, : width // 16]
    colours = np.concatenate([np.zeros((1, 3)), 160 * np.eye(3)])
    pixels = colours[coarse].repeat(32, axis=0).repeat(32, axis=1)[:height, :width]
    return (pixels + rng.integers(0, 60, pixels.shape)).astype(np.uint8), labels


@pytest.fixture(scope="session")
def trained() -> Network:
    """Tells the colours of ``blocks`` apart, with margins as a trained network's: few pixels nearly tie."""
    network = tiny_network().train()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for step in range(60):
        pictures, labels = zip(*(blocks(64, 64, 8 * step + index) for index in range(8)), strict=True)
        images = network.normalise(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))
        loss = torch.nn.functional.cross_entropy(network.segment_logits(images), torch.from_numpy(np.stack(labels)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3, "it has learned"
    return network.eval()
