"""Files that claim more than they hold: arrays, weights, networks and tables take no more memory than they are."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tagseg.data.onehot import read_onehot
from tagseg.data.tools.parquet import MOST_VALUES, read_parquet
from tagseg.errors import TagsegError
from tagseg.formats.npz import read_scores
from tagseg.frozen.cache import FeatureCache
from tagseg.model.checkpoint import load_network
from tagseg.model.weights import read_weights
from tagseg.training.checkpoint_file import load_checkpoint

from ..conftest import CLASSES, TINY
from .limits import MEGABYTE, assert_bounded, bounded
from .test_no_pickle import saved_as


def npy(shape: tuple[int, ...], kind: str = "<f2") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_arrays_that_claim_any_size_are_not_allocated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "part.npy").write_bytes(npy((10**9, 10**3)))
    (tmp_path / "part.txt").write_text("0" * 32 + "\n")
    with bounded():
        assert "0" * 32 not in FeatureCache(tmp_path, (10**3,))
    assert "not a readable part of the cache" in caplog.text
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr("scores.npy", npy((10**9, 10**6)))
        archive.writestr("classes.npy", npy((2,), "<U1"))
    with pytest.raises(TagsegError, match=r"s\.npz"):
        read_scores(tmp_path / "s.npz")


OPCODES = {
    "a place in memory": b"}r" + struct.pack("<I", 2**31 - 1), "bytes": b"\x8e" + struct.pack("<Q", 2**38),
    "a text": b"\x8d" + struct.pack("<Q", 2**38), "a number": b"\x8b" + struct.pack("<i", 2**31 - 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", OPCODES)
def test_tags_of_numpy_claim_no_memory(kind: str, tmp_path: Path) -> None:
    (tmp_path / "t.npy").write_bytes(npy((), "|O") + b"\x80\x04" + OPCODES[kind] + b".")
    assert_bounded(lambda: read_onehot(tmp_path / "t.npy", CLASSES), "t.npy")


def test_compressed_weights_are_not_unpacked(tmp_path: Path) -> None:
    stored = io.BytesIO()
    torch.save({"a": torch.zeros(1_000_000)}, stored)
    with zipfile.ZipFile(stored) as own, zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for each in own.infolist():
            packed.writestr(each.filename, own.read(each))
    assert (tmp_path / "w.pth").stat().st_size < 20_000
    assert_bounded(lambda: read_weights(tmp_path / "w.pth"), "compressed", megabytes=2)
    with pytest.raises(ValueError, match="compressed"):
        load_checkpoint(tmp_path / "w.pth")


DESCRIBED: dict[str, dict[str, object]] = {
    "wide": {"embed_dim": 300_000}, "deep": {"depth": 10**7}, "fat": {"mlp_ratio": 1e9}, "large": {"img_size": 10**6},
    "many tokens": {"reg_tokens": 10**9},
}  # fmt: skip
HEADS: dict[str, object] = {
    "prototypes": 10**9,
    "decoder_width": 10**8,
    "projector_width": 10**9,
    "encoder": "vit_giant_patch14_dinov2",
}


@pytest.mark.parametrize("kind", [*DESCRIBED, *HEADS])
def test_a_network_file_describes_no_larger_network_than_its_weights(kind: str, tmp_path: Path) -> None:
    options = {**TINY.encoder_options, **DESCRIBED.get(kind, {})}
    told: dict[str, object] = {"encoder_options": {} if kind == "encoder" else options} | (
        {kind: HEADS[kind]} if kind in HEADS else {}
    )
    saved_as(tmp_path / "net.safetensors", told)
    assert_bounded(lambda: load_network(tmp_path / "net.safetensors"), "describes a larger network than its")


@pytest.mark.parametrize("name", ["decoder_width", "projector_width", "prototypes", "decoder_dilation"])
@pytest.mark.parametrize("value", [10**30, -(10**30), 0])
def test_a_network_file_with_impossible_sizes_is_one_line(name: str, value: int, tmp_path: Path) -> None:
    saved_as(tmp_path / "net.safetensors", {"encoder_options": dict(TINY.encoder_options), name: value})
    assert_bounded(lambda: load_network(tmp_path / "net.safetensors"), f"net.safetensors: damaged, network.{name} is")


def test_tensors_of_any_shape_are_not_made(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}).encode()
    (tmp_path / "net.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    assert_bounded(lambda: load_network(tmp_path / "net.safetensors"), "net.safetensors")
    assert_bounded(lambda: read_weights(tmp_path / "net.safetensors"), "net.safetensors")


def test_a_parquet_table_of_equal_values_is_not_unrolled(tmp_path: Path) -> None:
    """A billion equal values are a few bytes."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = pyarrow.table(
        {f"c{n}": pyarrow.array(np.zeros(1_000_000, np.int8)) for n in range(MOST_VALUES // 1_000_000 + 1)}
    )
    parquet.write_table(rows, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < MEGABYTE
    assert_bounded(lambda: read_parquet(tmp_path / "t.parquet"), "t.parquet", "values")
