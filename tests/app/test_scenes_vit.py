"""The encoder shipped for the demo: small, and what its own description says."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from timm.models.vision_transformer import VisionTransformer

import tagseg.app
from tagseg.model.config import NetworkConfig
from tagseg.model.pretrained import create_vit

WEIGHTS = Path(tagseg.app.__file__).parent / "weights/scenes_vit.safetensors"


def test_shipped_encoder_fits_its_description():
    assert WEIGHTS.stat().st_size < 4_000_000
    with safe_open(WEIGHTS, "pt") as file:
        record = {key: json.loads(value) for key, value in file.metadata().items()}
    assert (Path(__file__).parents[2] / record["script"]).is_file()
    config = NetworkConfig(record["timm_model"], str(WEIGHTS), record["timm_options"])
    vit = create_vit(config)
    assert isinstance(vit, VisionTransformer)
    assert all(bool(value.isfinite().all()) for value in vit.state_dict().values())
    assert vit.forward_features(torch.zeros(1, 3, 128, 128)).shape == (1, 257, 128)
