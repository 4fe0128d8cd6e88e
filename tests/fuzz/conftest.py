"""A folder in memory, as benchmarks/fuzz.py uses it: databases wait for a disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .trial import scratch


@pytest.fixture
def memory() -> Iterator[Path]:
    with scratch() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def same_temporary_folder() -> Iterator[None]:
    """The server's parser gives the process another folder for temporary files, which goes with the test."""
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before
