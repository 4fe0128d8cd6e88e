"""The parts of a network that an update trains, apart from the encoder, which it shares with the run's network."""

from __future__ import annotations

import copy

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from tagseg.errors import TagsegError, list_some
from tagseg.model.network import Network

HEADS = ("classifier", "aux_classifier", "decoder", "tag_prior")
"""What is trained on frozen features."""
_WAY_OUT = "move corrections.sqlite out of the run's folder to begin without any"


def with_own_heads(network: Network) -> Network:
    """A network whose heads are a copy, and whose encoder and projector are the same objects."""
    fresh = copy.copy(network)
    fresh._modules = dict(network._modules)
    for name in HEADS:
        setattr(fresh, name, copy.deepcopy(getattr(network, name)))
    return fresh


def heads_as_bytes(network: Network) -> bytes:
    """The weights of the heads, as a safetensors file has them."""
    return safetensors.torch.save({name: value.contiguous() for name, value in _weights(network).items()})


def load_heads(network: Network, content: bytes) -> None:
    """Set the weights of the heads, in place.

    Raises:
        TagsegError: the content is not of this network; none is set.
    """
    try:
        weights, heads = safetensors.torch.load(content), _weights(network)
    except SafetensorError as error:
        raise TagsegError(f"the weights of the last update are damaged ({error}): {_WAY_OUT}") from error
    wrong = [name for name, own in heads.items() if name not in weights or weights[name].shape != own.shape]
    if wrong:
        raise TagsegError(f"the weights of the last update are of another network ({list_some(wrong)}): {_WAY_OUT}")
    for name, own in heads.items():
        own.copy_(weights[name])


def _weights(network: Network) -> dict[str, Tensor]:
    """Of the heads, without gradients; the tensors are the network's own."""
    state = network.state_dict()
    return {name: value for name, value in state.items() if name.split(".")[0] in HEADS}
