"""The encoder's final and auxiliary maps of all photos, computed once and kept in a ``FeatureCache``."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Float16
from torch import Tensor

from tagseg.beyond.linear_probe import Loading
from tagseg.data.dataset import TaggedImages
from tagseg.data.images import READING
from tagseg.data.loaders import whole_loader
from tagseg.errors import TagsegError, one_line
from tagseg.frozen.cache import FeatureCache, content_hash
from tagseg.model.fingerprint import add_encoder
from tagseg.model.network import Network, evaluating
from tagseg.progress import Note, ignore, progress, with_progress

logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class FrozenFeatures:
    """The maps of n photos, read from the cache when they are needed.

    Attributes:
        cache: of rows (2D, h, w): final map, then auxiliary map.
        contents: the hash of each photo.
        tags: (n, K) of 0 and 1.
        cuts: the photos' normalised cuts, where somebody keeps them; ``None``: they are computed when needed.
    """

    cache: FeatureCache
    contents: tuple[str, ...]
    tags: Float[Tensor, "n K"]
    cuts: Float[Tensor, "n h w"] | None = None

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.contents)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.cache.shape[1], self.cache.shape[2]

    @property
    def width(self) -> int:
        """D, the width of one map."""
        return self.cache.shape[0] // 2

    def read(self, indices: Sequence[int]) -> Float16[Tensor, "B D2 h w"]:
        """Both maps of some photos, final map first."""
        return self.cache.read([self.contents[index] for index in indices])

    def maps(self, indices: Sequence[int]) -> tuple[Float16[Tensor, "B D h w"], Float16[Tensor, "B D h w"]]:
        """Final and auxiliary map of some photos."""
        rows = self.read(indices)
        return rows[:, : self.width], rows[:, self.width :]

    def batches(self, size: int = 64) -> Iterator[Float16[Tensor, "B D2 h w"]]:
        """Both maps of all photos, in order."""
        for first in range(0, len(self), size):
            yield self.read(range(first, min(first + size, len(self))))

    def final(self) -> Float16[Tensor, "n D h w"]:
        """The final maps of all photos, in memory."""
        return torch.cat([batch[:, : self.width] for batch in self.batches()])

    def auxiliary(self) -> Float16[Tensor, "n D h w"]:
        """The auxiliary maps of all photos, in memory."""
        return torch.cat([batch[:, self.width :] for batch in self.batches()])


def frozen_features(
    network: Network,
    images: TaggedImages,
    size: int,
    folder: Path,
    loading: Loading,
    device: torch.device,
    note: Note = ignore,
) -> FrozenFeatures:
    """The features of whole images, those that are not in the cache computed first.

    Args:
        network: whose encoder is used; it is moved to the device and back.
        images: of which only the files and the tags are read.
        size: side in pixels that images are resized to; rounded to a multiple of the patch size.
        folder: of all caches; this one is a folder in it, named after encoder and settings.
        loading: how images are loaded.
        device: computes the features.
        note: is told how many of those that are missing are computed.

    Raises:
        TagsegError: an unreadable image, a size of a single patch, too little space on the disk.
    """
    side = side_of(size, network.patch_size)
    grid = side // network.patch_size
    shape = (2 * network.encoder.width, grid, grid)
    cache = FeatureCache(folder / cache_key(network, side), shape)
    contents = tuple(
        content_hash(sample.image) for sample in with_progress(images.samples, "looking for features", "photo")
    )
    # By content: of a photo that occurs twice, one row is computed.
    missing = {content: index for index, content in enumerate(contents) if content not in cache}
    known = len(images) - sum(content in missing for content in contents)
    if missing:
        _announce(cache, len(missing), known, side)
        samples = tuple(images.samples[index] for index in missing.values())
        some = TaggedImages(images.source, images.classes, samples, images.tags_from)
        try:
            _compute(network, some, list(missing), side, cache, loading, device, note)
        except TagsegError as error:
            raise one_line(error) from error
    else:
        logger.info("features of all %d photos are at hand: %s", len(images), cache.folder)
        note("features", len(images), len(images))
    return FrozenFeatures(cache, contents, torch.from_numpy(images.tag_matrix()))


def side_of(size: int, patch: int) -> int:
    """Side in pixels that images are resized to: a size rounded to a multiple of the patch size.

    Raises:
        TagsegError: a single patch, which cannot differ from others.
    """
    grid = round(size / patch)
    if grid < 2:
        raise TagsegError(f"features.size is {size}, expected two or more patches of {patch} pixels: raise it")
    return grid * patch


def cache_key(network: Network, side: int) -> str:
    """32 hexadecimal digits for everything that features depend on, besides the photo."""
    digest = hashlib.blake2b(digest_size=16)
    config = network.config
    # Equal weights with other attention heads or another activation give other features: name and options tell them.
    settings = {"version": 2, "reading": READING, "side": side, "aux": network.encoder.aux_index,
                "patch": network.patch_size, "mean": config.mean, "std": config.std,
                "encoder": config.encoder.partition(".")[0], "options": config.encoder_options}  # fmt: skip
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    add_encoder(digest, network)
    return digest.hexdigest()


def _announce(cache: FeatureCache, count: int, known: int, side: int) -> None:
    """Say what will be computed and the room it takes; stop where the disk has too little."""
    size = count * 2 * cache.shape[0] * cache.shape[1] * cache.shape[2]
    at_hand = f", {known} are at hand" if known else ""
    logger.info("computing features of %d photos at %d px%s: %s on disk in %s", count, side, at_hand,
                _bytes(size), cache.folder)  # fmt: skip
    place = next(folder for folder in (cache.folder, *cache.folder.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < size * 1.02:
        raise TagsegError(
            f"{cache.folder}: the features of {count} photos take {_bytes(size)}, and {_bytes(free)} are free: free "
            "some space, choose another disk with --features.folder, or a smaller --features.size"
        )


@torch.no_grad()  # in inference mode, what is moved to the device could not be trained afterwards
def _compute(
    network: Network, images: TaggedImages, contents: list[str], side: int, cache: FeatureCache, loading: Loading,
    device: torch.device, note: Note,
) -> None:  # fmt: skip
    place = next(network.parameters()).device
    done = 0
    with evaluating(network.to(device)), cache.writer(len(images)) as writer, \
            progress(len(images), "features", note=note) as bar:  # fmt: skip
        for batch, _ in whole_loader(images, side, loading.val_batch, loading.workers, device):
            features = network.encoder(network.normalise(batch.to(device)))
            rows = torch.cat([features.patches, features.auxiliary], dim=1)
            limit = torch.finfo(torch.float16).max
            writer.add(contents[done : done + len(batch)], rows.clamp(-limit, limit).half().cpu())
            done += len(batch)
            bar.update(len(batch))
    network.to(place)


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{max(1, round(size / 1e6))} MB"
