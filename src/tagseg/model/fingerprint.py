"""Short names of weights by their content: what is computed with other weights is not taken for the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.model.checkpoint import find_network
from tagseg.model.network import Network

_UNUSED = ("aggregation", "mask_token", "class_token")
"""Parameters of an encoder that no feature map depends on."""


def add_encoder(digest: hashlib.blake2b, network: Network) -> None:
    """Add the weights that feature maps depend on."""
    state = network.encoder.state_dict()
    _add(digest, {name: weights for name, weights in state.items() if not name.startswith(_UNUSED)})


def weights_fingerprint(network: Network, whole: bool = False) -> str:
    """32 hexadecimal digits for the weights that a training starts from; empty where their file is gone.

    Those of the file ``network.start`` where one is set, whether it was read or not (a resumed training reads none);
    otherwise those of the encoder, or of the ``whole`` network.
    """
    digest = hashlib.blake2b(digest_size=16)
    if not network.config.start:
        if whole:
            _add(digest, network.state_dict())
        else:
            add_encoder(digest, network)
        return digest.hexdigest()
    try:
        with find_network(network.config.start).open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except (TagsegError, OSError):
        return ""
    return digest.hexdigest()


def network_fingerprint(network: Network) -> str:
    """32 hexadecimal digits for the weights of a trained network, wherever its training started."""
    digest = hashlib.blake2b(digest_size=16)
    _add(digest, network.state_dict())
    return digest.hexdigest()


def _add(digest: hashlib.blake2b, state: Mapping[str, Tensor]) -> None:
    for name, weights in sorted(state.items()):
        digest.update(f"{name}{tuple(weights.shape)}".encode())
        digest.update(weights.detach().cpu().contiguous().float().numpy().tobytes())
