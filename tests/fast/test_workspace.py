import numpy as np
import pytest

from tagseg.fast.workspace import Workspace


def test_an_array_has_the_shape_and_kind_asked_for():
    workspace = Workspace()
    for shape, kind in [((3, 4), np.float32), ((2, 5, 6), np.int64), ((7,), np.int32), ((0, 8), np.float32)]:
        array = workspace.array("a", shape, kind)
        assert array.shape == shape
        assert array.dtype == kind
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned


def test_names_do_not_share_memory():
    workspace = Workspace()
    first, second = workspace.array("a", (3, 4)), workspace.array("b", (3, 4))
    assert not np.shares_memory(first, second)


def test_workspaces_do_not_share_memory():
    assert not np.shares_memory(Workspace().array("a", (3, 4)), Workspace().array("a", (3, 4)))


@pytest.mark.parametrize("shape", [(10, 8), (4, 5), (80,), (1,)])
def test_what_fits_takes_no_new_memory(shape):
    workspace = Workspace()
    first = workspace.array("a", (10, 8))
    assert np.shares_memory(first, workspace.array("a", shape))
    assert np.shares_memory(first, workspace.array("a", (10, 8)))


def test_it_grows_by_more_than_it_needs_so_that_somewhat_larger_images_fit():
    workspace = Workspace()
    workspace.array("a", (100,))
    second = workspace.array("a", (110,))
    assert second.shape == (110,)
    assert np.shares_memory(second, workspace.array("a", (150,)))


def test_what_is_held_grows_no_further_than_half_more_than_the_largest():
    workspace = Workspace()
    for size in (10, 1000, 20, 999):
        workspace.array("a", (size,))
    assert workspace.size <= 1.5 * 4000


def test_its_size_is_that_of_all_arrays_together():
    workspace = Workspace()
    assert workspace.size == 0
    workspace.array("a", (10, 8))
    workspace.array("b", (3,), np.int64)
    workspace.array("a", (2, 2))
    assert workspace.size == 10 * 8 * 4 + 3 * 8
