"""What is given as a network and is none is called what it is."""

import json
import zipfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tagseg.data.palette import colour
from tagseg.errors import TagsegError
from tagseg.model.checkpoint import load_network, read_about, save_network
from tagseg.model.weights import read_weights

from ..conftest import tiny_network


def refused(path, *parts):
    with pytest.raises(TagsegError) as error:
        load_network(path)
    assert "\n" not in str(error.value)
    for part in (path.name, *parts):
        assert part in str(error.value)


def test_the_state_of_a_training(tmp_path):
    torch.save({"state_dict": {"student.a": torch.ones(2)}, "epoch": 3}, tmp_path / "last.ckpt")
    refused(tmp_path, "no network yet", f"--resume {tmp_path}")
    refused(tmp_path / "last.ckpt", "the state of a training", "--resume")
    save_network(tiny_network(), tmp_path / "best.safetensors")
    refused(tmp_path / "last.ckpt", "the state of a training", f"its network is {tmp_path / 'best.safetensors'}")


def test_other_files(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "vit.pth")
    refused(tmp_path / "vit.pth", "a PyTorch checkpoint", "--network.weights", "tagseg.load_published")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    refused(tmp_path / "old.pth", "a pickled file", "--network.weights")
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        archive.writestr("last.safetensors", "x")
    refused(tmp_path / "run.zip", "a zip archive", "unpack it")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "vit.pth").read_bytes()[:300])
    refused(tmp_path / "cut.zip", "a damaged zip archive or PyTorch checkpoint")
    (tmp_path / "config.yaml").write_text("network:\n  encoder: deit\n" * 9)
    refused(tmp_path / "config.yaml", "a text file", "the run's folder")
    (tmp_path / "empty.safetensors").touch()
    refused(tmp_path / "empty.safetensors", "empty (0 bytes)")
    (tmp_path / "noise").write_bytes(bytes(range(255, 0, -1)))
    refused(tmp_path / "noise", "a file of another kind")
    for path in tmp_path.iterdir():
        with pytest.raises(TagsegError):
            read_about(path)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_network_that_is_cut_off(tmp_path, share):
    save_network(tiny_network(), tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "a.safetensors", "is cut off or damaged", "copy or save it again")


def changed(tmp_path, **entries):
    """A network with other entries, and how it is described."""
    save_network(tiny_network(), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        metadata = file.metadata()
    state = read_weights(tmp_path / "a.safetensors")
    save_file(state, tmp_path / "b.safetensors", metadata | entries)
    return tmp_path / "b.safetensors", metadata, state


def test_a_damaged_description(tmp_path):
    for entries in ({"network": "{"}, {"network": ""}, {"classes": "3"}, {"network": "[]"}):
        path, _, _ = changed(tmp_path, **entries)
        refused(path, "copy or save it again")


def test_a_setting_of_another_version(tmp_path):
    _, metadata, _ = changed(tmp_path)
    path, _, _ = changed(tmp_path, network=json.dumps(json.loads(metadata["network"]) | {"later": 1}))
    refused(path, "settings that this version of tagseg does not know (later)")


def test_weights_of_another_shape(tmp_path):
    path, metadata, state = changed(tmp_path)
    save_file(state | {"classifier.weight": torch.ones(2)}, path, metadata)
    refused(path, "weights do not fit (classifier.weight)")


def test_colours_come_back_and_are_those_of_voc_where_the_file_has_none(tmp_path):
    network = tiny_network()
    network.colours = ((0, 0, 0), (255, 0, 0), (1, 2, 3), (9, 8, 7))
    save_network(network, tmp_path / "a.safetensors")
    assert load_network(tmp_path / "a.safetensors").colours == network.colours
    path, metadata, state = changed(tmp_path)
    of_0_2_0 = {key: value for key, value in metadata.items() if key not in ("colours", "sha256")}
    save_file(state, path, of_0_2_0)
    assert load_network(path).colours == tiny_network().colours == tuple(colour(label) for label in range(4))


@pytest.mark.parametrize(
    "colours", ["{", "3", "[[0, 0, 0]]", "[[0, 0, 0], [1, 2], [3, 4, 5], [6, 7, 8]]", "[1, 2, 3, 4]"]
)
def test_damaged_colours_are_refused(tmp_path, colours):
    path, _, _ = changed(tmp_path, colours=colours)
    refused(path, "'colours'", "copy or save it again")
