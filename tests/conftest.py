"""What all tests share: golden values, a tiny network, a tiny tagged folder and a configuration that fits them."""

import csv
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import timm  # noqa: F401  before tagseg: what is first imported by a module that jaxtyping checks is compiled anew each time
import torch
from hypothesis import settings
from PIL import Image
from torch import Tensor

from tagseg.config import Config, RunConfig, replace
from tagseg.data.config import DataConfig, ViewConfig
from tagseg.errors import TagsegError
from tagseg.fsr.config import FSRConfig, MaskConfig
from tagseg.model.config import NetworkConfig
from tagseg.model.network import Network

from .browser import axe as axe  # fixtures of all tests
from .browser import chromium as chromium
from .browser import open_page as open_page

GOLDEN = Path(os.environ.get("TAGSEG_GOLDEN", Path(__file__).parent / "golden"))
CLASSES = ("circle", "square", "triangle")
TINY = NetworkConfig(
    encoder="vit_tiny_patch16_224",
    weights="none",
    encoder_options={"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4, "num_heads": 3},
    decoder_width=16,
    projector_width=32,
    projector_bottleneck=16,
    prototypes=32,
)


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("any machine", deadline=None)  # a busy one is no error
    settings.load_profile("any machine")
    config.addinivalue_line("markers", "slow: trains, starts processes or takes long; `make test-fast` leaves it out")
    config.addinivalue_line("markers", "processes: starts processes of its own; leave out with -m 'not processes'")
    config.addinivalue_line("markers", "gpu: needs a GPU and is skipped where there is none; -m gpu runs these alone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """A tiny network gains nothing from threads, and on a busy machine their waiting costs ten times its work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
    yield
    torch.set_num_threads(before)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads PyTorch may use; afterwards it is as before."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Calls as users make them: in the tests jaxtyping would refuse wrong shapes first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def golden_file() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        if not (GOLDEN / name).is_file():
            pytest.skip(f"no golden values at {GOLDEN / name}: set TAGSEG_GOLDEN to their folder")
        return GOLDEN / name

    return find


@pytest.fixture(scope="session")
def golden(golden_file: Callable[[str], Path]) -> Callable[[str], dict[str, Tensor]]:
    """Reads all arrays of a golden file; the test is skipped where there is none."""

    def read(name: str) -> dict[str, Tensor]:
        with np.load(golden_file(name)) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays}

    return read


def assert_agrees(ours: Tensor, published: Tensor, tolerance: float = 1e-4) -> None:
    """Equal to float32 rounding, relative to the largest published value."""
    assert ours.shape == published.shape
    error = (ours.detach().double() - published.double()).abs().max() / published.double().abs().max()
    assert error <= tolerance, f"differs by {error:.2e} of the largest value"


def tiny_network(classes: tuple[str, ...] = CLASSES, seed: int = 0, config: NetworkConfig = TINY) -> Network:
    torch.manual_seed(seed)
    return Network(config, classes).eval()


@pytest.fixture(scope="session")
def tiny() -> Network:
    """In evaluation mode; a test that changes it takes a copy."""
    return tiny_network()


def make_folder(root: Path, train: int = 6, val: int = 2, side: int = 40) -> Path:
    """Photos of one bright square each on a dim ground, their masks and tags; the last photo of a split shows none."""
    rows = []
    for split, count, seed in (("train", train, 0), ("val", val, 1)):
        for index in range(count):
            rng = np.random.default_rng([seed, index])
            image = rng.integers(0, 90, (side, side + 8, 3), np.uint8)
            mask = np.zeros(image.shape[:2], np.uint8)
            tag = index % len(CLASSES)
            if index + 1 < count:
                top, left = rng.integers(2, side // 3, 2)
                region = slice(top, top + side // 2), slice(left, left + side // 2)
                image[region][..., tag] += 150
                mask[region] = tag + 1
            name = f"{split}{index}"
            for kind, array, suffix in (("images", image, "jpg"), ("masks", mask, "png")):
                path = root / kind / f"{name}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
            rows.append((f"{name}.jpg", CLASSES[tag] if index + 1 < count else "", split))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels", "split"), *rows])
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


@pytest.fixture(scope="session")
def tagged_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training and two validation photos; not to be changed."""
    return make_folder(tmp_path_factory.mktemp("tagged"))


def tiny_config(root: Path, output: Path, **changes: dict) -> Config:
    """A training of six steps on the CPU that takes about a second."""
    config = Config(
        data=DataConfig(source="folder", root=str(root)),
        network=TINY,
        views=ViewConfig(size=32),
        method=FSRConfig(mask=MaskConfig(block=8)),
        run=RunConfig(
            output=str(output), steps=6, batch=2, workers=0, accelerator="cpu", devices=1, logger="csv", log_every=1,
            validate_every=0,
        ),
    )  # fmt: skip
    return replace(config, **changes)


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """Writes fail half-way: no file may grow beyond ``most`` bytes, as if that was what the disk had left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def assert_refused(call, *parts):
    """By a ``TagsegError`` of one line that has these parts."""
    with pytest.raises(TagsegError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.fixture
def signals_as_in_a_terminal():
    """Tests that run in the background or by ``nohup`` begin with some signals ignored, which then stay so."""
    handlers: dict[str, Any] = {
        "SIGINT": signal.default_int_handler,
        "SIGTERM": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }
    numbers = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
