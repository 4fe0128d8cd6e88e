"""The one-hot dict of the community, from either numpy, and files that try to run something."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagseg.data.onehot import read_onehot
from tagseg.errors import TagsegError

CLASSES = ("cat", "dog", "emu")
TABLE = {"2007_000032": [1, 0, 1], "2007_000039": [0, 0, 0]}
EXPECTED = {"2007_000032": ("cat", "emu"), "2007_000039": ()}


def save(path: Path, content: Any, protocol: int = 3, numpy_1: bool = False) -> Path:
    """Write what ``np.save`` writes for an object, at any pickle protocol, maybe with numpy 1's module names."""
    array = np.empty((), object)
    array[()] = content
    data = pickle.dumps(array, protocol)
    if numpy_1 and protocol < 4:  # text lines: no lengths to mend
        data = data.replace(b"numpy._core", b"numpy.core")
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(data)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy_1", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool, np.dtype(">f4")])
def test_reads_every_protocol_and_type(tmp_path, protocol, numpy_1, dtype):
    table = {key: np.array(row, dtype) for key, row in TABLE.items()}
    assert read_onehot(save(tmp_path / "a.npy", table, protocol, numpy_1), CLASSES) == EXPECTED


def test_reads_what_numpy_saves_and_other_keys_and_rows(tmp_path):
    saved: Any = {key: np.array(row) for key, row in TABLE.items()}  # numpy takes a dict, its stubs do not
    np.save(tmp_path / "a.npy", saved, allow_pickle=True)
    assert read_onehot(tmp_path / "a.npy", CLASSES) == EXPECTED
    table = {7: [1, 0, 0], np.int64(8): [np.float32(0), np.float32(1), 0], np.str_("9"): np.array([1, 0, 1], object)}
    expected = {"7": ("cat",), "8": ("dog",), "9": ("cat", "emu")}
    assert read_onehot(save(tmp_path / "b.npy", table), CLASSES) == expected


def test_keys_of_any_type_and_rows_of_one(tmp_path):
    table = {b"a": [1, 0, 0], 2007000032.0: np.array([[0, 1, 0]]), np.int64(9): np.array([[0], [0], [1]])}
    expected = {"a": ("cat",), "2007000032": ("dog",), "9": ("emu",)}
    assert read_onehot(save(tmp_path / "a.npy", table), CLASSES) == expected


class Attack:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("function", [os.system, eval, np.load, getattr, np.fromfile])
def test_nothing_in_the_file_runs(tmp_path, function, protocol):
    canary = tmp_path / "ran"
    argument = f"open({str(canary)!r}, 'w')" if function is eval else f"touch {canary}"
    path = save(tmp_path / "a.npy", {"a": Attack(function, (argument,))}, protocol)
    with pytest.raises(TagsegError, match="it refers to"):
        read_onehot(path, CLASSES)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "it holds a list"),
        ({"a": np.ones(4)}, r"a row has the shape \(4,\)"),
        ({"a": np.array([0, 1, 2])}, "values other than 0 and 1"),
        ({"a": np.array([1 + 1j, 0, 0])}, "arrays of 'c16'"),
        ({"a": "text"}, "a row has the shape"),
    ],
)
def test_other_contents_are_named(tmp_path, content, message):
    with pytest.raises(TagsegError, match=message) as error:
        read_onehot(save(tmp_path / "a.npy", content), CLASSES)
    assert "array of 3 zeros and ones" in str(error.value)


def test_damaged_files(tmp_path):
    path = save(tmp_path / "a.npy", {"a": np.ones(3)})
    for data in (b"", b"text", path.read_bytes()[:-20], path.read_bytes()[:90]):
        path.write_bytes(data)
        with pytest.raises(TagsegError, match=r"a\.npy cannot be read"):
            read_onehot(path, CLASSES)
    np.save(path, np.ones((2, 3)))
    with pytest.raises(TagsegError, match="it holds an array of float64"):
        read_onehot(path, CLASSES)
