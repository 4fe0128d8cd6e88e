"""A network on disk: what is saved comes back, what is damaged or foreign is refused, a failed write harms nothing."""

import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tagseg.errors import TagsegError
from tagseg.model.checkpoint import FORMAT, find_network, load_network, read_about, save_network
from tagseg.model.network import Network
from tagseg.model.weights import read_weights

from ..conftest import CLASSES, TINY, full_disk, tiny_network


@pytest.fixture
def saved(tiny, tmp_path):
    save_network(tiny, tmp_path / "last.safetensors", {"step": 7})
    return tmp_path / "last.safetensors"


def test_a_saved_network_comes_back(tiny, saved):
    loaded = load_network(saved)
    assert loaded.classes == CLASSES
    assert loaded.config == TINY
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    state = tiny.state_dict()
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    assert read_about(saved) == {"step": 7}


@pytest.mark.parametrize("pool", [0.0, 0.25])
def test_the_pooling_of_tag_logits_comes_back(tmp_path, pool):
    network = Network(TINY, CLASSES, pool).eval()
    save_network(network, tmp_path / "net.safetensors")
    images = torch.randn(2, 3, 32, 32)
    loaded = load_network(tmp_path / "net.safetensors")
    assert loaded.pool == pool
    assert torch.equal(loaded(images).logits, network(images).logits)


@pytest.mark.parametrize(("pool", "decoder_start"), [(0.0, 1.0), (0.25, 0.1)])
def test_a_file_of_0_1_0_loads(tmp_path, pool, decoder_start):
    """It kept the pooling and how the decoder began among the settings of the network."""
    network = Network(TINY, CLASSES, pool).eval()
    settings = dataclasses.asdict(TINY) | {"pool": pool, "decoder_start": decoder_start}
    about = {"step": 6, "network": "student"}
    facts = {"network": json.dumps(settings), "classes": json.dumps(CLASSES), "about": json.dumps(about)}
    save_file(network.state_dict(), tmp_path / "last.safetensors", {"format": FORMAT, **facts})
    loaded = load_network(tmp_path)
    assert (loaded.config, loaded.classes, loaded.pool) == (TINY, CLASSES, pool)
    assert read_about(tmp_path / "last.safetensors") == about
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded(images).logits, network(images).logits)
    assert torch.equal(loaded(images).segmentation, network(images).segmentation)


def test_saving_leaves_no_other_file_and_makes_the_folder(tiny, tmp_path):
    save_network(tiny, tmp_path / "a" / "b" / "net.safetensors")
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["net.safetensors"]


def test_class_names_of_any_script_come_back(tmp_path):
    names = ("Größe", "猫", 'a "quoted", name')
    save_network(tiny_network(names), tmp_path / "net.safetensors")
    assert load_network(tmp_path / "net.safetensors").classes == names


def test_a_folder_means_its_best_else_its_last_network(saved):
    assert find_network(saved.parent) == saved
    best = saved.with_name("best.safetensors")
    best.write_bytes(saved.read_bytes())
    assert find_network(saved.parent) == best
    assert find_network(saved) == saved


def test_nothing_there(tmp_path):
    with pytest.raises(TagsegError, match=r"no network in this folder, expected .*best\.safetensors"):
        load_network(tmp_path)
    with pytest.raises(TagsegError, match="no such file or folder"):
        load_network(tmp_path / "absent")


def test_a_foreign_file_is_refused(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(TagsegError, match=r"no tagseg network \(its format is None"):
        load_network(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TagsegError, match="not a readable"):
        load_network(saved)


def test_a_file_with_a_tensor_too_few_is_refused(tiny, saved):
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    state = read_weights(saved)
    del state["classifier.weight"]
    save_file(state, saved, metadata)
    with pytest.raises(TagsegError, match=r"do not fit \(classifier.weight\)"):
        load_network(saved)


def test_weights_are_read_from_a_wrapped_checkpoint(tmp_path):
    for key in ("model", "state_dict", "student"):
        torch.save({key: {"module.a": torch.ones(1)}, "epoch": 2}, tmp_path / "w.pth")
        assert read_weights(tmp_path / "w.pth") == {"a": torch.ones(1)}


def test_a_pickle_with_code_is_refused_and_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    torch.save({"a": torch.ones(1), "b": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(TagsegError, match="not a readable weights file"):
        read_weights(tmp_path / "evil.pth")
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_keeps_the_previous_file(tiny, saved):
    before = saved.read_bytes()
    with full_disk(len(before) // 2), pytest.raises(TagsegError, match=r"could not be saved.*previous file is kept"):
        save_network(tiny, saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name], "no half-written file is left"


def test_a_full_disk_where_there_was_no_file(tiny, tmp_path):
    with full_disk(1000), pytest.raises(TagsegError, match="nothing was written"):
        save_network(tiny, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_changed_bit_of_weights_or_description_is_one_line(saved):
    content = saved.read_bytes()
    header = int.from_bytes(content[:8], "little")
    places = (header + 8, len(content) - 1, content.index(b"square"))
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        saved.write_bytes(changed)
        with pytest.raises(TagsegError, match=r"last\.safetensors: weights or description are not those") as caught:
            load_network(saved)
        assert "\n" not in str(caught.value)
    saved.write_bytes(content)
    load_network(saved)
