import threading

import pytest
import torch

from tagseg.fast import workspace as module
from tagseg.fast.workspace import Workspaces


@pytest.mark.parametrize("count", [1, 2, 4])
def test_results_are_in_the_order_of_the_items(count, threads):
    threads(count)
    done = threading.Event()

    def work(item, _):
        if item == 0 and count > 1:
            assert done.wait(10), "the first item ends last"
        elif item == 1:
            done.set()
        return -item

    assert Workspaces().map(work, range(6)) == [0, -1, -2, -3, -4, -5]


def test_items_are_worked_on_at_the_same_time(threads):
    """Each waits for the other: one after the other, neither would end."""
    threads(2)
    barrier = threading.Barrier(2)
    assert Workspaces().map(lambda item, _: barrier.wait(10) is not None and item, [5, 6]) == [5, 6]


@pytest.mark.parametrize("count", [1, 2])
def test_no_more_threads_than_pytorch_may_use(count, threads):
    threads(count)
    running, most, lock = [], [], threading.Lock()

    def work(item, _):
        with lock:
            running.append(item)
            most.append(len(running))
        threading.Event().wait(0.01)
        with lock:
            running.remove(item)

    Workspaces().map(work, range(6))
    assert max(most) <= count


@pytest.mark.parametrize(("count", "items"), [(1, 5), (4, 1), (4, 0)])
def test_without_use_for_threads_there_are_none(count, items, threads):
    threads(count)
    assert Workspaces().map(lambda *_: threading.current_thread(), range(items)) == [threading.current_thread()] * items


@pytest.mark.parametrize("count", [1, 2])
def test_exceptions_are_passed_on(count, threads):
    threads(count)

    def work(item, _):
        if item == 2:
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 2"):
        Workspaces().map(work, range(4))


def test_the_number_of_threads_is_as_before(threads):
    threads(2)
    Workspaces().map(lambda *_: None, range(4))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [1, 2])
def test_no_two_items_are_in_one_workspace_at_the_same_time(count, threads):
    threads(count)
    inside, lock, barrier = set(), threading.Lock(), threading.Barrier(count)

    def work(_, workspace):
        with lock:
            assert id(workspace) not in inside
            inside.add(id(workspace))
        barrier.wait(10)  # as many as there are threads
        with lock:
            inside.remove(id(workspace))
        return id(workspace)

    Workspaces().map(work, range(6))


@pytest.mark.parametrize("count", [1, 2])
def test_workspaces_are_used_again_also_by_the_next_call(count, threads):
    """No more of them than threads."""
    threads(count)
    workspaces = Workspaces()
    used = [id(workspace) for _ in range(3) for workspace in workspaces.map(lambda _, workspace: workspace, range(5))]
    assert len(set(used)) <= count
    assert 1 <= len(workspaces._free) <= count
    assert len({id(workspace) for workspace in workspaces._free}) == len(workspaces._free), "none of them twice"


def test_a_workspace_that_has_become_large_is_not_kept(threads, monkeypatch):
    threads(1)
    workspaces = Workspaces()
    monkeypatch.setattr(module, "_LARGEST_KEPT", 4000)
    workspaces.map(lambda size, workspace: workspace.array("a", (size,)) is None, [1000])
    assert len(workspaces._free) == 1
    workspaces.map(lambda size, workspace: workspace.array("a", (size,)) is None, [1001])
    assert workspaces._free == []


def test_nothing_is_lost_where_an_item_fails(threads):
    threads(1)
    workspaces = Workspaces()
    with pytest.raises(ZeroDivisionError):
        workspaces.map(lambda item, _: 1 / item, [1, 0])
    assert workspaces.map(lambda item, _: 1 / item, [1, 2]) == [1, 0.5]
