"""Networks on a hub: fetched once, from the cache without a network, refused in one line; the hub is a local one."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

import tagseg
from tagseg.model.checkpoint import FORMAT, find_network, load_network, read_about, save_network
from tagseg.model.hub import HubAddress, fetched, hub_address, is_hub_address

from ..conftest import CLASSES, assert_refused
from ..fake_hub import COMMIT, fake_hub, with_endpoint

NO_PORT = "http://127.0.0.1:9"


@pytest.fixture
def hub(tiny, tmp_path, monkeypatch):
    """A hub on this machine with the network in ``me/net``, and an empty cache."""
    save_network(tiny, tmp_path / "net.safetensors", {"step": 7})
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    network = (tmp_path / "net.safetensors").read_bytes()
    files = {
        "net/model.safetensors": network,
        "run/last.safetensors": network,
        "net/sub/small.safetensors": network,
        "foreign/model.safetensors": (tmp_path / "other.safetensors").read_bytes(),
        "gated/model.safetensors": network,
        "pickled/pytorch_model.bin": b"\x80",
    }
    with fake_hub(files, tmp_path / "cache", monkeypatch) as handler:
        yield handler


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://me/net", HubAddress("me/net")),
        ("hf://me/net/", HubAddress("me/net")),
        (Path("hf://me/net"), HubAddress("me/net")),
        ("hf://me/net@v1", HubAddress("me/net", "v1")),
        ("hf://me/net@refs%2Fpr%2F1/sub/a.safetensors", HubAddress("me/net", "refs/pr/1", "sub/a.safetensors")),
        ("hf://me-2/net.v3/best.safetensors", HubAddress("me-2/net.v3", None, "best.safetensors")),
    ],
)
def test_an_address_is_taken_apart(text, expected):
    assert is_hub_address(text)
    assert hub_address(text) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hf://net", "no address of a repository"),
        ("hf://", "no address of a repository"),
        ("hf://me/net@", "no address of a repository"),
        ("hf://me/net/model.bin", "'model.bin' is no .safetensors file"),
        ("hf://me/net/../a.safetensors", "leads out of a repository"),
        ("hf://me/a--b", "no valid name"),
    ],
)
def test_another_form_is_refused(text, part, hub):
    assert_refused(lambda: fetched(text), text.rstrip("/"), part, "expected hf://OWNER/NAME")
    assert not hub.seen


def test_what_is_no_address():
    assert not any(map(is_hub_address, ("runs/hf", "hf", Path("/hf"), 3, None)))


@pytest.mark.parametrize(
    "address",
    ["hf://me/net", "hf://me/run", "hf://me/net@v1", f"hf://me/net@{COMMIT}", "hf://me/net/sub/small.safetensors"],
)
def test_a_network_of_a_hub_is_the_saved_one(hub, tiny, address):
    network = load_network(address)
    assert network.classes == CLASSES
    assert all(torch.equal(value, tiny.state_dict()[name]) for name, value in network.state_dict().items())
    assert read_about(address) == {"step": 7}


@pytest.mark.slow
def test_load_segments_with_a_network_of_a_hub(hub, tiny, tmp_path, tagged_folder):
    photo = tagged_folder / "images/val0.jpg"
    once: dict[str, Any] = {"scales": (1.0,), "mirror": False}
    assert (tagseg.load("hf://me/net", **once)(photo).mask == tagseg.load(tiny, **once)(photo).mask).all()
    assert len(tagseg.predict("hf://me/net", photo, tmp_path / "out", quiet=True, **once)) == 1


def test_it_is_fetched_once(hub):
    first = find_network("hf://me/net")
    assert find_network("hf://me/net") == first
    assert hub.seen.count("GET /me/net/resolve/main/model.safetensors") == 1


def test_without_a_network_the_cached_one_is_taken(hub, monkeypatch):
    for address in ("hf://me/net", "hf://me/run"):
        there = find_network(address)
        with monkeypatch.context() as offline:
            with_endpoint(offline, NO_PORT)
            assert find_network(address) == there
        with monkeypatch.context() as offline:
            offline.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
            assert find_network(address) == there


def test_neither_network_nor_cache(hub, monkeypatch):
    with_endpoint(monkeypatch, NO_PORT)
    assert_refused(lambda: load_network("hf://me/net"), "hf://me/net: not in the cache", "cannot be reached")


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("hf://me/missing", "no such repository, or a private one"),
        ("hf://me/gated", "is gated: accept its terms"),
        ("hf://me/net@v9", "has no revision 'v9'"),
        ("hf://me/net/none.safetensors", "expected none.safetensors"),
        ("hf://me/pickled", "no tagseg network in this repository"),
        ("hf://me/foreign", "no tagseg network (its format is None"),
    ],
)
def test_what_a_hub_does_not_give(hub, address, part):
    assert_refused(lambda: tagseg.load(address), part)


def test_a_hub_with_an_error_of_its_own(hub):
    assert_refused(lambda: load_network("hf://me/broken"), "hf://me/broken: not in the cache", "500")


def test_a_network_of_someone_reads_no_other_file(tiny, tmp_path):
    """timm would open what its options name."""
    save_network(tiny, tmp_path / "net.safetensors")
    settings = {"encoder": "vit_tiny_patch16_224", "weights": str(tmp_path / "w.pth"), "start": str(tmp_path / "s")}
    options = {**tiny.config.encoder_options, "checkpoint_path": str(tmp_path / "evil.pth")}
    own = {
        name: getattr(tiny.config, name)
        for name in ("decoder_width", "projector_width", "projector_bottleneck", "prototypes")
    }
    facts = {"network": json.dumps({**settings, **own, "encoder_options": options}), "classes": json.dumps(CLASSES)}
    save_file(tiny.state_dict(), tmp_path / "net.safetensors", {"format": FORMAT, **facts})
    assert load_network(tmp_path / "net.safetensors").config == tiny.config


def test_an_exported_folder_is_loaded(tiny, tmp_path):
    save_network(tiny, tmp_path / "model.safetensors")
    assert tagseg.load(tmp_path).classes == CLASSES
