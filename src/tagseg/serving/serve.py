"""``tagseg serve``: the server from its source to its end."""

from __future__ import annotations

import logging
import re
import secrets
import signal
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagseg.arguments import check_kinds
from tagseg.config import Config
from tagseg.config_file import NAME, read_config
from tagseg.errors import TagsegError
from tagseg.fsr.config import CamConfig, PartitionConfig
from tagseg.inference.precision import Precision
from tagseg.inference.segment import MAX_SIDE, SCALES
from tagseg.model.checkpoint import trained_maps
from tagseg.pairwise.config import PUBLISHED_CRF, CrfConfig
from tagseg.serving.first_run import Given, given
from tagseg.serving.guard import LOOPBACK, Rules
from tagseg.serving.limits import Limits
from tagseg.serving.listening import is_loopback, listen, run

if TYPE_CHECKING:
    from tagseg.serving.collection import Collection
    from tagseg.serving.state import Serving

_NEEDED = ("fastapi", "uvicorn", "python_multipart")
logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Address:
    """Where the server listens, and how the page is reached; arguments of ``serve``.

    Raises:
        TagsegError: a token that no cookie can hold, or one that is easily guessed.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    token: str | None = None
    browser: bool = False

    def __post_init__(self) -> None:
        if self.token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{12,200}", self.token):
            raise TagsegError(
                "token is not as expected, 12 to 200 letters, digits, dots, hyphens or underscores: leave it out and "
                "one is made"
            )


def serve(
    source: str | Path,
    *,
    config: Config | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    max_bytes: int = Limits.bytes,
    max_pixels: int = Limits.pixels,
    max_store: int = Limits.store,
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    size: int | None = None,
    max_side: int | None = MAX_SIDE,
    crf_settings: CrfConfig = PUBLISHED_CRF,
    precision: Precision = "32",
    device: str = "auto",
    browser: bool = False,
) -> None:
    """Serve a page on which people try a network on photos, correct the tags of its collection, and train it again.

    Masks are those of ``predict`` with the same settings. Returns after SIGTERM.

    Args:
        source: run folder, ``.safetensors`` file, or folder of tagged photos, on which a run is trained first.
        config: of the training on photos; default: the preset ``frozen``, in ``runs/NAME``.
        host: name or address to listen on. Others than this machine's own need the token; nothing is encrypted.
        port: to listen on, 0 for any that is free; default: 8350, or the next free one.
        token: what each request must show; default: none on this machine alone, else one that is made and printed.
        max_bytes: most bytes of an upload.
        max_pixels: most pixels of a photo that is uploaded.
        max_store: most bytes of all results that are kept; the oldest leave.
        scales: factors of the image size for multi-scale testing.
        mirror: test-time flip augmentation (image and horizontal flip).
        size: side in pixels of a square that photos are resized to for the network; default: native size.
        max_side: longest side in pixels that the network sees; masks keep the native size. 0: no limit.
        crf_settings: the CRF's kernels, where the page asks for a CRF.
        precision: ``32``, or ``bf16``: faster matrix products on some hardware; a few labels differ.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        browser: open the page in a browser.

    Raises:
        TagsegError: nothing to serve, bad settings, a port that is taken, or packages that are missing.
        KeyboardInterrupt: Ctrl-C.
    """
    check_kinds(locals(), host="text", port="whole?", token="text?", max_bytes="whole", max_pixels="whole",
                max_store="whole", browser="switch")  # fmt: skip
    _check_packages()
    limits, address = Limits(bytes=max_bytes, pixels=max_pixels, store=max_store), Address(host, port, token, browser)
    listen(host, port).close()  # errors in the address come before a training
    settings = {"scales": scales, "mirror": mirror, "size": size, "max_side": max_side, "crf_settings": crf_settings,
                "precision": precision, "device": device}  # fmt: skip
    if _run(_opened(given(source, config), settings, limits), address) == signal.SIGINT:
        raise KeyboardInterrupt("the server has ended; corrections are saved")


def _opened(found: Given, settings: dict[str, Any], limits: Limits) -> Serving:
    """What is served: the network and, where there is one, the collection.

    Args:
        found: what there is.
        settings: of the ``Predictor``.
        limits: of what is taken.
    """
    from tagseg.inference.predictor import Predictor
    from tagseg.serving.segmenter import Segmenter
    from tagseg.serving.state import Serving

    _check_segmentation(found)
    collection = _collection(found)
    try:
        predictor = Predictor(found.network if collection is None else collection.network, **settings)
        segmenter = Segmenter(predictor, settings["crf_settings"], *_regions(found))
        return Serving(found.network.resolve().name, segmenter, collection, limits)
    except BaseException:
        if collection is not None:
            collection.close()
        raise


def _check_packages() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise TagsegError(
            f"tagseg serve needs packages that are not installed ({', '.join(missing).replace('_', '-')}), expected "
            'them: pip install "tagseg[serve]"'
        )


def _collection(found: Given) -> Collection | None:
    """The photos of a run, where they can be corrected; otherwise why not is said."""
    if found.run is None or not (found.run / NAME).is_file():
        return None
    from tagseg.serving.collection import Collection

    try:
        return Collection.open(found.run)
    except TagsegError as error:
        logger.warning("no photos to correct, only to try: %s", error)
        return None


def _check_segmentation(found: Given) -> None:
    if "segmentation" not in trained_maps(found.network):
        raise TagsegError(
            f"{found.network}: its decoder was not trained, as its method trains a classifier alone, expected one "
            "that labels pixels: train with --method frozen or fsr"
        )


def _regions(found: Given) -> tuple[PartitionConfig, CamConfig]:
    """Thresholds of the partition and scales of the CAM: of the run's method where it has them, else the published."""
    own = found.run is not None and (found.run / NAME).is_file()
    method = read_config(found.run / NAME).method if own and found.run else None
    regions, cam = getattr(method, "partition", None), getattr(method, "cam", None)
    return (
        regions if isinstance(regions, PartitionConfig) else PartitionConfig(),
        cam if isinstance(cam, CamConfig) else CamConfig(),
    )


def _run(serving: Serving, address: Address) -> int | None:
    """Serve until a signal ends it, which is returned."""
    from tagseg.serving.app import make_app

    try:
        with listen(address.host, address.port) as bound:
            rules = rules_of(bound, address)
            shown = _shown(bound, address.host, rules)
            count = "" if serving.collection is None else f", {len(serving.collection):,} photos to correct"
            classes = f"{len(serving.segmenter.classes)} classes"
            print(f"serving {serving.name} ({classes}{count}); Ctrl-C ends it", flush=True)
            print(shown, flush=True)
            if address.browser:
                import webbrowser

                webbrowser.open(shown)
            return run(make_app(serving, rules), bound)
    finally:
        serving.close()


def rules_of(bound: socket.socket, address: Address) -> Rules:
    """Who may ask: on this machine's own addresses by their names, elsewhere with a token."""
    cookie = f"tagseg_token_{bound.getsockname()[1]}"
    if is_loopback(bound):
        return Rules(LOOPBACK | {address.host.lower(), bound.getsockname()[0]}, address.token, cookie)
    return Rules(None, address.token or secrets.token_urlsafe(24), cookie)


def _shown(bound: socket.socket, host: str, rules: Rules) -> str:
    """What to open in a browser."""
    anywhere = bound.getsockname()[0] in ("0.0.0.0", "::")
    name = socket.gethostname() if anywhere else host
    shown = f"[{name}]" if ":" in name else name
    query = "" if rules.token is None else f"?token={rules.token}"
    return f"http://{shown}:{bound.getsockname()[1]}/{query}"
