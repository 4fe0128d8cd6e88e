"""Network files, checkpoints of trainings, encoder weights, published checkpoints, feature caches, probabilities."""

from __future__ import annotations

import functools
import io
import json
import zlib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from tagseg.errors import TagsegError
from tagseg.formats.npz import read_scores
from tagseg.frozen.cache import FeatureCache
from tagseg.model.checkpoint import load_network, read_about, save_network
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network
from tagseg.model.published import load_published
from tagseg.model.weights import read_weights
from tagseg.training.checkpoint_file import load_checkpoint, save_checkpoint
from tagseg.training.checkpoint_hash import damage_of

from ..inside import in_safetensors, in_zip
from ..parser import UNKNOWN, Case, Parser
from ..trial import scratch

SMALLEST = NetworkConfig(
    encoder="vit_tiny_patch16_224",
    weights="none",
    encoder_options={"img_size": 16, "patch_size": 8, "embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 1.0},
    aux_layer=-1,
    aggregation_depth=1,
    decoder="conv",
    decoder_width=4,
    projector_width=4,
    projector_bottleneck=4,
    prototypes=4,
)
_HEADER = (
    b'"dtype":"F32"',
    b'"shape":[0]',
    b'"data_offsets":[0,4]',
    b"BF16",
    b"F64",
    b"I64",
    b"BOOL",
    b"F8_E4M3",
    b'"__metadata__"',
    b'"encoder"',
    b'"classes"',
    b'\\"depth\\": 100000',
    b'\\"img_size\\": 99999999',
    b'\\"embed_dim\\": 1000000',
    b'\\"weights\\": \\"/etc/passwd\\"',
    b'"network"',
    b"[]",
)
_PICKLE = (
    b"cos\nsystem\n(S'exit 1'\ntR.",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"R",
    b"c",
    b"\x8c\x02os",
    b"\x93",
    b"b",
    b"\x81",
    b"\x80\x05",
    b"ccollections\nOrderedDict\n",
)


@functools.cache
def network_file() -> bytes:
    """A network of a few thousand weights."""
    torch.manual_seed(0)
    network = Network(SMALLEST, ("cat", "dog"))
    with scratch() as folder:
        save_network(network, Path(folder) / "n.safetensors", {"step": 3, "scores": {"mIoU": 0.5}})
        return (Path(folder) / "n.safetensors").read_bytes()


def _network(rng: Random) -> Case:
    return Case("best.safetensors", network_file(), (("cat", "dog"), 3))


def _read_network(path: Path) -> tuple[tuple[str, ...], Any]:
    network = load_network(path)
    return tuple(network.classes), read_about(path).get("step")


def _state(rng: Random) -> dict[str, Any]:
    torch.manual_seed(rng.randrange(1 << 30))
    weights = {f"network.{name}": torch.randn(rng.randint(1, 4), 3) for name in ("a", "b")}
    return {"state_dict": weights, "global_step": rng.randrange(1000), "classes": ["cat", "dog"], "epoch": 0}


def _plain(value: Any) -> Any:
    """A value that can be compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _checkpoint(rng: Random) -> Case:
    state = _state(rng)
    with scratch() as folder:
        save_checkpoint(state, Path(folder) / "a.ckpt")
        content = (Path(folder) / "a.ckpt").read_bytes()
    return Case("last.ckpt", content, _plain(state))


def _read_checkpoint(path: Path) -> Any:
    reason = damage_of(path)
    if reason:
        raise TagsegError(f"{path}: {reason}")
    try:
        content = dict(load_checkpoint(path))
    except Exception as error:  # as ``check_checkpoint`` says it
        raise TagsegError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error
    return _plain({key: value for key, value in content.items() if key != "tagseg_sealed"})


def _weights(rng: Random) -> Case:
    state = _state(rng)["state_dict"]
    expected = _plain(state)
    if rng.random() < 0.5:
        return Case("w.safetensors", save(state), expected)
    file = io.BytesIO()
    torch.save(
        {"model": state} if rng.random() < 0.5 else state, file, _use_new_zipfile_serialization=rng.random() < 0.7
    )
    return Case("w.pth", file.getvalue(), expected)


def _read_weights(path: Path) -> Any:
    return _plain({name: value for name, value in read_weights(path).items() if value.numel() < 10_000})


def _in_weights(content: bytes, rng: Random, words: Any) -> bytes:
    return (
        in_zip(content, rng, words)
        if content.startswith(b"PK")
        else in_safetensors(content, rng, words)
        if content[8:9] == b"{"
        else content[::-1]
    )


@functools.cache
def _published_file() -> bytes:
    names = {
        "encoder.patch_embed.proj.weight": (8, 3, 8, 8),
        "encoder.pos_embed": (1, 5, 8),
        "decoder.conv6.weight": (4, 8, 3, 3),
        "projector.mlp.4.weight": (4, 4),
        "projector.last_layer.weight_v": (4, 4),
        "encoder.blocks.0.mlp.fc1.weight": (8, 8),
        "top_classifier.weight": (2, 8, 1, 1),
    }
    return save({name: torch.zeros(shape) for name, shape in names.items()})


def _published(rng: Random) -> Case:
    return Case("p.safetensors", _published_file(), UNKNOWN)


def _read_published(path: Path) -> Any:
    return load_published(path, heads=1).missing


def _scores(rng: Random) -> Case:
    draw = np.random.default_rng(rng.randrange(1 << 30))
    count, height, width = rng.randint(1, 4), rng.randint(1, 6), rng.randint(1, 6)
    levels = draw.integers(0, 256, (count, height, width), np.uint8)
    classes = np.array(["background", "cat", "dög", "x"][:count])
    file = io.BytesIO()
    if rng.random() < 0.5:
        np.savez_compressed(file, classes=classes, scores=levels)
    else:
        np.savez_compressed(file, classes=classes, scores=levels, labels=np.argsort(levels, axis=0).astype(np.uint8))
        order = np.argsort(levels, axis=0)
        every = np.zeros(levels.shape, np.float32)
        np.put_along_axis(every, order, levels.astype(np.float32) / 255, axis=0)
        return Case("a.npz", file.getvalue(), (every.tolist(), tuple(classes.tolist())))
    return Case("a.npz", file.getvalue(), ((levels.astype(np.float32) / 255).tolist(), tuple(classes.tolist())))


def _read_scores(path: Path) -> Any:
    values, classes = read_scores(path)
    return values.tolist() if values.size < 10_000 else [], classes


def _cache_list(rng: Random) -> Case:
    """Contents of rows, with their checksums as now or without as formerly."""
    contents = [f"{rng.randrange(1 << 100):032x}" for _ in range(rng.randint(1, 5))]
    former = rng.random() < 0.3
    lines = "".join(content + ("\n" if former else _after(row)) for row, content in enumerate(contents))
    return Case("shard.txt", lines.encode(), {content: float(row) for row, content in enumerate(contents)})


def _after(row: int) -> str:
    """What follows the hash of row ``row``, which is two times its number."""
    return f" {zlib.crc32(np.full(2, row, '<f2').tobytes()):08x}\n"


def _read_cache_list(path: Path) -> Any:
    """The list of a shard of eight rows, each of its number."""
    array = np.repeat(np.arange(8, dtype=np.float16), 2).reshape(8, 2)
    np.save(path.with_suffix(".npy"), array)
    try:
        return _rows(FeatureCache(path.parent, (2,)))
    finally:
        path.with_suffix(".npy").unlink()


def _cache_values(rng: Random) -> Case:
    file = io.BytesIO()
    np.save(file, np.repeat(np.arange(8, dtype=np.float16), 2).reshape(8, 2))
    return Case("shard.npy", file.getvalue(), {f"{row:032x}": float(row) for row in range(8)})


def _read_cache_values(path: Path) -> Any:
    path.with_suffix(".txt").write_text("".join(f"{row:032x}{_after(row)}" for row in range(8)))
    try:
        rows = _rows(FeatureCache(path.parent, (2,)))
        if len(rows) < 8:
            raise TagsegError("the shard or its end is left out: these rows are computed again")
        return rows
    finally:
        path.with_suffix(".txt").unlink()


def _rows(cache: FeatureCache) -> dict[str, float]:
    return {content: float(cache.read([content])[0, 0]) for content in list(cache._rows)}


def _about(rng: Random) -> Case:
    content = {"step": rng.randrange(1000), "maps": ["segmentation"], "scores": {"mIoU": rng.random()}}
    tensors = {"a": torch.zeros(2)}
    metadata = {"format": "tagseg-network-1", "about": json.dumps(content)}
    return Case("n.safetensors", save(tensors, metadata), content)


# 30 seconds: PyTorch searches its own messages in a time that grows with the square of a name's length
PARSERS = (
    Parser("network", _network, _read_network, _HEADER, change=in_safetensors, changed=0.97, pool=1, quiet=False),
    Parser("network_about", _about, read_about, _HEADER, change=in_safetensors),
    Parser(
        "checkpoint",
        _checkpoint,
        _read_checkpoint,
        _PICKLE,
        exact=True,
        change=in_zip,
        quiet=False,
        seconds=30,
        pool=8,
    ),
    Parser("weights", _weights, _read_weights, (*_PICKLE, *_HEADER), change=_in_weights, pool=16, seconds=30),
    Parser("published", _published, _read_published, _HEADER, change=in_safetensors, changed=0.97, pool=1, quiet=False),
    Parser("scores_npz", _scores, _read_scores, _PICKLE, change=in_zip),
    Parser("cache_list", _cache_list, _read_cache_list),
    Parser(
        "cache_values",
        _cache_values,
        _read_cache_values,
        (b"<f2", b">f2", b"|O", b"fortran_order", b"True", b"(8, 2)", b"(-1, 2)", b"(8,)"),
        exact=True,
    ),
)
