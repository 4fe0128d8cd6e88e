"""Tagged photos and settings with which labels are made in a moment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tagseg.config import Config, replace
from tagseg.presets import PRESETS

from ..conftest import TINY


def label_config(root: Path, **changes: dict) -> Config:
    """Of a tiny random encoder at 32 px."""
    network = {"encoder": TINY.encoder, "weights": "none", "encoder_options": TINY.encoder_options}
    config = replace(PRESETS["frozen"](), data={"root": str(root)}, network=network, features={"size": 32})
    return replace(config, **changes)


@pytest.fixture
def config(tagged_folder: Path, tmp_path: Path) -> Config:
    return label_config(tagged_folder, features={"folder": str(tmp_path / "features")})


@pytest.fixture(scope="session")
def files() -> Callable[[Path], set[str]]:
    """The files below a folder, relative to it."""
    return lambda folder: {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
