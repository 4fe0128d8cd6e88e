"""A folder in memory, as benchmarks/fuzz.py uses it: databases wait for a disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagseg.data.images import MAX_PIXELS

from .trial import scratch


@pytest.fixture
def memory() -> Iterator[Path]:
    with scratch() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trials limit the size of pictures; the server's parser takes another folder for temporary files."""
    monkeypatch.setenv(MAX_PIXELS, "1")
    monkeypatch.delenv(MAX_PIXELS)  # so that it is restored, whatever a trial sets it to
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before
