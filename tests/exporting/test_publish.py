"""Publishing: what is uploaded can be loaded from there, what is private stays, errors are one line."""

import huggingface_hub
import pytest
import torch

from tagseg.exporting.publish import check_repository, publish
from tagseg.model.checkpoint import load_network, save_network

from ..conftest import assert_refused
from ..fake_hub import fake_hub, with_endpoint


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_one")
    with fake_hub({}, tmp_path / "cache", monkeypatch) as handler:
        yield handler


@pytest.fixture
def exported(tiny, tmp_path):
    folder = tmp_path / "exported"
    save_network(tiny, folder / "model.safetensors", {"step": 7})
    (folder / "README.md").write_text("---\nlibrary_name: tagseg\n---\n# A network\n")
    (folder / "export.json").write_text("{}")
    (folder / "data.json").write_text('{"root": "/home/someone"}')
    (folder / ".hidden").write_text("x")
    return folder


def test_what_is_published_can_be_loaded(hub, exported, tiny):
    assert publish(exported, "me/net", private=True) == "hf://me/net"
    assert set(hub.files) == {"net/model.safetensors", "net/README.md", "net/export.json"}
    assert hub.files["net/model.safetensors"] == (exported / "model.safetensors").read_bytes()
    assert [(asked["name"], hub.is_private(hub, "net")) for asked in hub.created] == [("net", True)]
    network = load_network("hf://me/net")
    assert all(torch.equal(value, tiny.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_card_loads_it_from_there(hub, exported):
    with (exported / "README.md").open("a") as card:
        card.write('result = tagseg.load("FOLDER")("photo.jpg")')
    publish(exported, "hf://me/net")
    assert b'result = tagseg.load("hf://me/net")("photo.jpg")' in hub.files["net/README.md"]
    assert not hub.is_private(hub, "net")


def test_it_is_updated(hub, exported):
    publish(exported, "me/net")
    (exported / "model.onnx").write_bytes(b"new")
    publish(exported, "me/net")
    assert hub.files["net/model.onnx"] == b"new"


def test_what_is_to_be_private_is_not_put_where_all_can_read_it(hub, exported):
    publish(exported, "me/net")
    (exported / "model.onnx").write_bytes(b"new")
    assert_refused(lambda: publish(exported, "me/net", private=True), "me/net is there already and public")
    assert "net/model.onnx" not in hub.files


@pytest.mark.parametrize("missing", ["model.safetensors", "README.md"])
def test_an_incomplete_folder_is_not_published(hub, exported, missing):
    (exported / missing).unlink()
    assert_refused(lambda: publish(exported, "me/net"), f"lacks {missing}")
    assert not hub.seen


def test_a_folder_whose_network_nobody_could_load_is_not_published(hub, exported):
    (exported / "model.safetensors").write_bytes(b"x" * 20)
    assert_refused(lambda: publish(exported, "me/net"), "not a readable network")
    assert not hub.seen


@pytest.mark.parametrize("repository", ["net", "me/net@v1", "me/net/a.safetensors", "", "a/b/c"])
def test_another_form_of_a_repository_is_refused(repository):
    assert_refused(lambda: check_repository(repository), "expected")


def test_a_repository_may_be_named_by_its_address():
    assert check_repository("hf://me/net") == check_repository("me/net") == "me/net"


@pytest.mark.parametrize(("name", "part"), [("missing", "needs a login"), ("forbidden", "may not write there")])
def test_a_hub_that_lets_nobody_write(hub, exported, name, part):
    assert_refused(lambda: publish(exported, f"me/{name}"), f"me/{name}", part)


def test_no_hub(hub, exported, monkeypatch):
    with_endpoint(monkeypatch, "http://127.0.0.1:9")
    assert_refused(
        lambda: publish(exported, "me/net"), "me/net: could not be published", "the exported folder is complete"
    )


def test_no_login(hub, exported, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert_refused(lambda: publish(exported, "me/missing"), "needs a login")
