"""A tiny random network and tiny images of every kind a folder of photos may hold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.config import NetworkConfig
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
