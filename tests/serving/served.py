"""A server in a thread of the test's own process, on a port of its own."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from tagseg.fsr.config import CamConfig, PartitionConfig
from tagseg.inference.predict import predict
from tagseg.inference.predictor import Predictor
from tagseg.pairwise.config import PUBLISHED_CRF
from tagseg.serving.app import make_app
from tagseg.serving.collection import Collection
from tagseg.serving.guard import Rules
from tagseg.serving.limits import Limits
from tagseg.serving.listening import listen, server_of
from tagseg.serving.segmenter import Segmenter
from tagseg.serving.state import Serving

SCALES = (1.0, 1.5)


class Client(httpx.Client):
    """A client of a server, which it knows."""

    serving: Serving


def serving_of(model, collection: Collection | None = None, limits: Limits | None = None) -> Serving:
    """What is served; ``model`` as for a ``Predictor``."""
    segmenter = Segmenter(Predictor(model, scales=SCALES), PUBLISHED_CRF, PartitionConfig(), CamConfig())
    return Serving("tiny", segmenter, collection, limits or Limits())


@contextmanager
def running(serving: Serving, rules: Rules | None = None) -> Iterator[Client]:
    """A client of a server that runs until the end of the block; redirects are not followed."""
    bound = listen("127.0.0.1", 0)
    server = server_of(make_app(serving, rules or Rules()))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        with Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=60) as client:
            client.serving = serving
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        serving.close()
        bound.close()
        assert not thread.is_alive()


def photo_array(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    """A photo of noise with a bright square."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 90, (height, width, 3), np.uint8)
    image[8 : height // 2, 10 : width // 2, 1] += 150
    return image


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(file, format=kind, **options)
    return file.getvalue()


def send(client: httpx.Client, content: bytes, name: str = "photo.png", **form) -> httpx.Response:
    """Upload a photo to be segmented."""
    return client.post("/api/segment", files={"photo": (name, content)}, data=form)


def segmented(client: httpx.Client, content: bytes, name: str = "photo.png", **form) -> dict:
    """The answer to an upload that succeeds."""
    answer = send(client, content, name, **form)
    assert answer.status_code == 200, answer.text
    return answer.json()


def labels_in(content: bytes) -> np.ndarray:
    """The values of a palette PNG."""
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == "P"
        return np.array(image)


def predicted_mask(model, photo: Path, output: Path, **settings) -> bytes:
    """The mask that ``tagseg predict`` writes of a photo."""
    (one,) = predict(model, photo, output, scales=SCALES, overlays=False, quiet=True, **settings)
    assert one.mask is not None
    return one.mask.read_bytes()


def assert_told(answer: httpx.Response, status: int, *parts: str) -> None:
    """An error of one line that has these parts."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    line = answer.json()["error"]
    assert "\n" not in line
    for part in parts:
        assert part in line
