"""Checkpoints under the published names."""

import dataclasses
import logging

import pytest
import torch
from safetensors.torch import save_file

from tagseg.errors import TagsegError
from tagseg.model.published import load_published, our_name

from ..conftest import TINY, tiny_network

# Ours → published; written by hand, not derived from the loader's table.
PREFIXES = (
    ("encoder.class_token", "encoder.cls_token"),
    ("encoder.positions", "encoder.pos_embed"),
    ("encoder.patch_embed.", "encoder.patch_embed.proj."),
    ("encoder.aggregation.", "encoder.cls_blocks."),
    ("decoder.0.", "decoder.conv6."),
    ("decoder.2.", "decoder.conv7."),
    ("decoder.4.", "decoder.conv8."),
    ("projector.prototypes.direction", "projector.last_layer.weight_v"),
    ("classifier.", "top_classifier."),
)
PARTS = ((".query.", ".attn.q."), (".key.", ".attn.k."), (".value.", ".attn.v."), (".out.", ".attn.proj."))


def published_name(ours):
    for prefix, published in PREFIXES:
        if ours.startswith(prefix):
            ours = published + ours.removeprefix(prefix)
            break
    if "cls_blocks" in ours:
        for part, published in PARTS:
            ours = ours.replace(part, published)
    return ours


def publish(network):
    state = {published_name(name): value.clone() for name, value in network.state_dict().items()}
    positions = state["encoder.pos_embed"]
    state["encoder.pos_embed"] = torch.cat([torch.randn_like(positions[:, :1]), positions], dim=1)
    state["encoder.mask_token"] = state["encoder.mask_token"].view(1, 1, -1)
    state["projector.last_layer.weight_g"] = torch.ones(TINY.prototypes, 1)
    return state


@pytest.fixture
def network():
    return tiny_network(("a", "b", "c"), seed=5)


@pytest.fixture
def state(network):
    return publish(network)


def read(state, tmp_path, **options):
    save_file(state, tmp_path / "net.safetensors")
    return load_published(tmp_path / "net.safetensors", **{"heads": 3, **options})


def test_round_trip(network, state, tmp_path):
    loaded = read(state, tmp_path)
    assert loaded.missing == loaded.unexpected == ()
    ours = network.state_dict()
    assert loaded.network.state_dict().keys() == ours.keys()
    assert all(torch.equal(value, ours[name]) for name, value in loaded.network.state_dict().items())
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(loaded.network(image).segmentation, network(image).segmentation)


def test_a_pytorch_checkpoint_is_read_as_well(network, state, tmp_path):
    torch.save({"model": {f"module.{name}": value for name, value in state.items()}, "step": 1}, tmp_path / "net.pth")
    loaded = load_published(tmp_path / "net.pth", heads=3).network
    assert torch.equal(loaded.classifier.weight, network.classifier.weight)


def test_sizes_come_from_the_tensors(tmp_path):
    options = {**TINY.encoder_options, "depth": 3, "img_size": 40, "mlp_ratio": 2}
    config = dataclasses.replace(TINY, encoder_options=options, aggregation_depth=1, prototypes=24, decoder_width=8)
    other = tiny_network(("a",), config=config)
    state = publish(other)
    state["projector.last_layer.weight_g"] = torch.ones(24, 1)
    loaded = read(state, tmp_path)
    assert loaded.missing == loaded.unexpected == ()
    assert torch.equal(loaded.network.get_parameter("decoder.4.weight"), other.get_parameter("decoder.4.weight"))


def test_missing_and_unexpected_keys_are_named(state, tmp_path, caplog):
    del state["decoder.conv8.weight"]
    state["encoder.blocks.0.extra.weight"] = torch.ones(1)
    state["something.else"] = torch.ones(1)
    with caplog.at_level(logging.WARNING, "tagseg"):
        loaded = read(state, tmp_path)
    assert loaded.missing == ("decoder.4.weight",)
    assert set(loaded.unexpected) == {"something.else", "encoder.blocks.0.extra.weight"}
    assert "1 keys missing in the checkpoint: decoder.4.weight" in caplog.text
    assert "2 keys not used: something.else" in caplog.text


def test_a_gain_other_than_one_is_not_silently_dropped(state, tmp_path):
    state["projector.last_layer.weight_g"] = torch.full((TINY.prototypes, 1), 2.0)
    assert read(state, tmp_path).unexpected == ("projector.last_layer.weight_g",)


def test_a_tensor_of_another_shape(state, tmp_path):
    state["aux_classifier.weight"] = torch.ones(9, 48, 1, 1)
    with pytest.raises(TagsegError, match=r"aux_classifier\.weight have another shape"):
        read(state, tmp_path)


def test_a_file_that_is_no_such_checkpoint(tmp_path):
    with pytest.raises(TagsegError, match=r"has no 'encoder\.patch_embed\.proj\.weight', expected a checkpoint under"):
        read({"weight": torch.ones(2)}, tmp_path)


def test_heads_are_asked_for_where_the_width_does_not_tell(state, tmp_path):
    with pytest.raises(TagsegError, match="width 48 does not tell the number of heads"):
        read(state, tmp_path, heads=None)


def test_class_names(state, tmp_path):
    assert read(state, tmp_path).network.classes == ("class 1", "class 2", "class 3")
    assert read(state, tmp_path, classes=("x", "y", "z")).network.classes == ("x", "y", "z")
    with pytest.raises(TagsegError, match="has 3 classes, but 2 class names were given"):
        read(state, tmp_path, classes=("x", "y"))


def test_twenty_classes_are_those_of_voc(tmp_path):
    twenty = publish(tiny_network(tuple(map(str, range(20)))))
    assert read(twenty, tmp_path).network.classes[14] == "person"


def test_a_name_that_nothing_of_ours_takes():
    assert our_name("encoder.head.weight") is None
