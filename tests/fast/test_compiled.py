from typing import Any

import numba
import numpy as np
import pytest

from tagseg.fast import compiled as module
from tagseg.fast.compiled import compiled


def doubled(values):
    total = 0.0
    for value in values:
        total += 2 * value
    return total


@pytest.fixture
def options(monkeypatch):
    """What numba was asked for; as on a machine where nothing can be written, it refuses to cache."""
    asked = []

    def njit(**given):
        asked.append(given)
        if given.get("cache"):
            raise RuntimeError("cannot cache function 'doubled': no locator available for file 'test_compiled.py'")
        return numba.njit(**given)

    monkeypatch.setattr(module, "njit", njit)
    return asked


def test_without_a_place_for_the_cache_it_compiles_all_the_same(options):
    function: Any = compiled(doubled)
    assert function(np.arange(4.0)) == 12
    assert len(function.signatures) == 1, "compiled, not interpreted"
    cached, again = options
    assert cached == again | {"cache": True}, "and in the same way"


def test_the_lock_is_released(options):
    compiled(doubled)
    assert all(given["nogil"] for given in options)


def test_the_result_is_cached_where_it_can_be(tmp_path, monkeypatch):
    """A second process compiles nothing."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    first: Any = compiled(doubled)
    second: Any = compiled(doubled)
    assert first(np.arange(4.0)) == 12
    assert list(tmp_path.rglob("*doubled*.nbc"))
    assert second(np.arange(4.0)) == 12
    assert sum(second.stats.cache_hits.values()) == 1
    assert not second.stats.cache_misses


def test_other_errors_are_not_swallowed(monkeypatch):
    def njit(**_):
        raise TypeError("not a function")

    monkeypatch.setattr(module, "njit", njit)
    with pytest.raises(TypeError):
        compiled(doubled)
