"""The SHA-256 of a network's weights and description, kept in its file: a bit that has changed is told, not used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

KEY = "sha256"
"""The entry of the file's metadata. Files of 0.2.0 and before have none."""


def content_hash(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """64 hexadecimal digits of all tensors, with their names, types and shapes, and of all metadata but the hash."""
    digest = hashlib.sha256()
    digest.update(json.dumps({name: value for name, value in metadata.items() if name != KEY}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
