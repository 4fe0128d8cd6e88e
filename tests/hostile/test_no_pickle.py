"""No file that is read can run code: crafted ones are refused, and their payload, which makes a file, did not run."""

import io
import json
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tagseg.config_file import read_config, save_config
from tagseg.data.class_file import read_class_file
from tagseg.data.class_map import read_class_map
from tagseg.data.onehot import read_onehot
from tagseg.data.split_list import read_splits
from tagseg.data.tags import read_tags
from tagseg.data.tools.hugging_face_names import names_of_folder
from tagseg.errors import TagsegError
from tagseg.formats.npz import read_scores
from tagseg.frozen.cache import FeatureCache
from tagseg.model.checkpoint import load_network
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network
from tagseg.model.pretrained import READS_FILES, create_vit
from tagseg.model.published import load_published
from tagseg.model.weights import read_weights
from tagseg.settings import Section, field_types
from tagseg.training.checkpoint_io import WholeCheckpoints
from tagseg.training.train import train
from tagseg.verbs.train import parse_train

from ..conftest import CLASSES, TINY, assert_refused, make_folder, tiny_config, tiny_network


class Payload:
    """Pickled, it makes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return (open, (str(self.marker), "w"))


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """The file that a payload makes, and must not have made in the end."""
    path = tmp_path / "payload_ran"
    pickle.loads(pickle.dumps(Payload(path))).close()
    assert path.exists()  # it works
    path.unlink()
    yield path
    assert not path.exists()


def saved_array(content: object) -> bytes:
    file = io.BytesIO()
    np.save(file, object_array(content))
    return file.getvalue()


def object_array(content: object) -> np.ndarray:
    array = np.empty((), object)
    array[()] = content
    return array


PICKLES: dict[str, Callable[[Path, object], object]] = {
    "zip": lambda path, payload: torch.save({"model": {"a": torch.ones(2)}, "x": payload}, path),
    "legacy": lambda path, payload: torch.save({"x": payload}, path, _use_new_zipfile_serialization=False),
    "plain pickle": lambda path, payload: path.write_bytes(pickle.dumps({"state_dict": payload})),
    "npy": lambda path, payload: path.write_bytes(saved_array(payload)),
}
"""How a file with a payload is written."""

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "--network.weights": ("w.pth", read_weights),
    "weights called safetensors": ("w.safetensors", read_weights),
    "load_published": ("w.pth", load_published),
    "tagseg.load": ("best.safetensors", load_network),
    "onehot tags": ("cls_labels_onehot.npy", lambda path: read_onehot(path, CLASSES)),
    "tag file": ("labels.csv", lambda path: read_tags(path, ())),
    "class file": ("classes.txt", read_class_file),
    "class file as YAML": ("classes.yaml", read_class_file),
    "class map": ("class_map.yaml", read_class_map),
    "split list": ("split.csv", read_splits),
    "scores": ("scores.npz", read_scores),
    "config": ("config.yaml", read_config),
}


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_is_refused_by_every_reader(reader: str, kind: str, tmp_path: Path, marker: Path) -> None:
    name, read = READERS[reader]
    PICKLES[kind](tmp_path / name, Payload(marker))
    assert_refused(lambda: read(tmp_path / name), name)


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt", "hpc_ckpt_1.ckpt"])
def test_a_checkpoint_is_read_without_its_code_whatever_lightning_asks_for(
    kind: str, name: str, tmp_path: Path, marker: Path
) -> None:
    PICKLES[kind](tmp_path / name, Payload(marker))
    with pytest.raises(Exception, match=r".") as caught:
        WholeCheckpoints().load_checkpoint(tmp_path / name, weights_only=False)
    assert not isinstance(caught.value, AssertionError)


def test_a_run_with_a_crafted_checkpoint_is_not_resumed(tmp_path: Path, marker: Path) -> None:
    config = tiny_config(tmp_path / "data", tmp_path / "run")
    save_config(config, tmp_path / "run")
    make_folder(tmp_path / "data")
    for name in ("last.ckpt", "best.ckpt", "previous.ckpt", "hpc_ckpt_1.ckpt"):
        PICKLES["zip"](tmp_path / "run" / name, Payload(marker))
    assert_refused(lambda: train(config, tmp_path / "run"), "ckpt")


@pytest.mark.parametrize("content", ["object array", "a dict with a payload", "a payload as a key's value"])
def test_arrays_of_objects_run_nothing(content: str, tmp_path: Path, marker: Path) -> None:
    payload = Payload(marker)
    held = {"object array": payload, "a dict with a payload": {"a": payload}}.get(content, {"a": [np.ones(3), payload]})
    np.save(tmp_path / "tags.npy", object_array(held))
    assert_refused(lambda: read_onehot(tmp_path / "tags.npy", CLASSES), "tags.npy", "it refers to")


def test_scores_with_objects_run_nothing(tmp_path: Path, marker: Path) -> None:
    np.savez(tmp_path / "s.npz", scores=object_array(Payload(marker)), classes=np.array(["a"]))
    assert_refused(lambda: read_scores(tmp_path / "s.npz"), "s.npz")


def test_a_crafted_part_of_the_features_cache_is_left_out(
    tmp_path: Path, marker: Path, caplog: pytest.LogCaptureFixture
) -> None:
    np.save(tmp_path / "part.npy", object_array(Payload(marker)))
    (tmp_path / "part.txt").write_text("0" * 32 + "\n")
    assert "0" * 32 not in FeatureCache(tmp_path, (4, 2, 2))
    assert "not a readable part of the cache" in caplog.text


TAGS = {
    "apply": "{key}: !!python/object/apply:builtins.open [{marker}, w]\n",
    "new": "{key}: !!python/object/new:builtins.open [{marker}, w]\n",
    "name": "{key}: !!python/name:os.system\n",
    "module": "{key}: !!python/module:os\n",
}


@pytest.mark.parametrize("tag", TAGS)
def test_yaml_tags_make_nothing(tag: str, tmp_path: Path, marker: Path) -> None:
    texts = {key: TAGS[tag].format(key=key, marker=marker) for key in ("data", "classes", "names", "dataset_info")}
    (tmp_path / "config.yaml").write_text(texts["data"])
    (tmp_path / "class_map.yaml").write_text(texts["classes"])
    (tmp_path / "classes.yaml").write_text(texts["names"])
    (tmp_path / "README.md").write_text(f"---\n{texts['dataset_info']}---\n")
    assert_refused(lambda: read_config(tmp_path / "config.yaml"), "config.yaml")
    if tag == "apply":  # the parser reads all tags alike
        assert_refused(lambda: parse_train(["--config", str(tmp_path / "config.yaml")]))
    assert names_of_folder(tmp_path) == ({}, "")
    for read, name in ((read_class_map, "class_map.yaml"), (read_class_file, "classes.yaml")):
        try:  # a tag may be read as if it was not there
            found = str(read(tmp_path / name))
        except TagsegError as error:
            found = str(error)
        assert "<" not in found  # no object


CODE = {
    "a section is a class": "data: {{class_path: {name}}}\n",
    "a section as text": "data: {name}\n",
    "a section as YAML in text": "data: '{{class_path: {name}}}'\n",
    "a section in another file": "data: {other}\n",
    "one key with points": "data.class_path: {name}\n",
    "at the top": "class_path: {name}\n",
}
OPTIONS = """
network:
  encoder_options:
    of an option: {{class_path: {name}}}
    as text: '{{class_path: {name}}}'
    in a list: [{{class_path: {name}}}]
    of a program: {{class_path: subprocess.Popen, init_args: {{args: [touch, {marker}]}}}}
data: {{class_map: {{a: {{class_path: {name}}}}}}}
"""


@pytest.fixture
def evil(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a class whose module makes the file when it is imported."""
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "evil_module.Evil"
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("where", CODE)
def test_a_config_file_names_no_code(where: str, tmp_path: Path, evil: str) -> None:
    (tmp_path / "other.yaml").write_text(f"class_path: {evil}\n")
    (tmp_path / "config.yaml").write_text(CODE[where].format(name=evil, other=tmp_path / "other.yaml"))
    assert_refused(lambda: parse_train(["--config", str(tmp_path / "config.yaml")]), "config.yaml", "expected")


def test_what_a_setting_s_own_keys_hold_stays_text(tmp_path: Path, marker: Path, evil: str) -> None:
    (tmp_path / "config.yaml").write_text(OPTIONS.format(name=evil, marker=marker))
    config = parse_train(["--config", str(tmp_path / "config.yaml")])[1]
    held = json.dumps([config.network.encoder_options, config.data.class_map])  # text, lists and dicts alone
    assert held.count("class_path") == 5


def test_no_setting_takes_anything_for_its_value() -> None:
    """For ``Any`` the parser imports and calls what ``class_path`` names."""
    sections = [section for section in _all_below(Section) if section.__module__.startswith("tagseg.")]
    assert len(sections) > 15
    for section in sections:
        for name, kind in field_types(section).items():
            assert not _takes_anything(kind), f"{section.__name__}.{name}"


def _takes_anything(kind: object) -> bool:
    return kind is Any or kind is object or any(map(_takes_anything, get_args(kind)))


def _all_below(kind: type) -> list[type]:
    direct: list[type] = kind.__subclasses__()
    return [each for below in direct for each in (below, *_all_below(below))]


@pytest.mark.parametrize("option", READS_FILES)
def test_the_encoder_reads_no_file_of_its_own(option: str, tmp_path: Path, marker: Path) -> None:
    """timm 1.0.13 unpickles what ``checkpoint_path`` names."""
    PICKLES["zip"](tmp_path / "w.pth", Payload(marker))
    options = {**TINY.encoder_options, option: str(tmp_path / "w.pth")}
    config = NetworkConfig(encoder=TINY.encoder, weights="none", encoder_options=options)
    assert_refused(lambda: create_vit(config), option, "--network.weights")


@pytest.mark.parametrize("name", ["hf-hub:someone/model", "local-dir:/tmp/x", "someone/model", "..\\model"])
def test_an_encoder_is_a_name_and_no_address(name: str) -> None:
    assert_refused(
        lambda: create_vit(NetworkConfig(encoder=name, weights="none")), "network.encoder", "--network.weights"
    )


def test_a_network_file_names_no_address_and_no_file(tmp_path: Path, marker: Path) -> None:
    PICKLES["zip"](tmp_path / "w.pth", Payload(marker))
    saved_as(tmp_path / "net.safetensors", {"encoder": "hf-hub:someone/model"})
    assert_refused(lambda: load_network(tmp_path / "net.safetensors"), "network.encoder")
    saved_as(tmp_path / "net.safetensors", {"weights": str(tmp_path / "w.pth"), "start": str(tmp_path / "w.pth")})
    assert load_network(tmp_path / "net.safetensors").config.weights == "none"


def saved_as(path: Path, described: dict[str, object], network: Network | None = None) -> None:
    """A tiny network whose file describes it otherwise."""
    import dataclasses

    network = network or tiny_network()
    settings = dataclasses.asdict(network.config) | {"pool": network.pool, "start": ""} | described
    facts = {"format": "tagseg-network-1", "network": json.dumps(settings), "classes": json.dumps(CLASSES)}
    save_file(network.state_dict(), path, facts)


@pytest.mark.parametrize("size", [2**20, 99_999_999, 2**40, 2**63])
def test_a_header_that_claims_any_size_is_refused(size: int, tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(size.to_bytes(8, "little") + b'{"a":{}}')
    assert_refused(lambda: load_network(tmp_path / "net.safetensors"), "net.safetensors")
    assert_refused(lambda: read_weights(tmp_path / "net.safetensors"), "net.safetensors")
