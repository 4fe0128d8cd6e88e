"""What is served: a network of a hub, an exported folder."""

from tagseg.model.checkpoint import save_network
from tagseg.serving.first_run import Given, given

from ..fake_hub import fake_hub


def test_a_network_of_a_hub(tiny, tmp_path, monkeypatch):
    save_network(tiny, tmp_path / "net.safetensors")
    content = (tmp_path / "net.safetensors").read_bytes()
    with fake_hub({"net/model.safetensors": content}, tmp_path / "cache", monkeypatch):
        found = given("hf://me/net")
    assert found.run is None
    assert found.network.read_bytes() == content


def test_an_exported_folder_is_no_folder_of_photos(tiny, tmp_path):
    save_network(tiny, tmp_path / "model.safetensors")
    assert given(tmp_path) == Given(tmp_path, tmp_path)
