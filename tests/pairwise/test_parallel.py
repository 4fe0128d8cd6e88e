import threading

import pytest
import torch

from tagseg.pairwise.parallel import each


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

    assert each(work, range(6)) == [0, -1, -2, -3, -4, -5]


def test_items_are_worked_on_at_the_same_time(threads):
    """Each waits for the other: one after the other, neither would end."""
    threads(2)
    barrier = threading.Barrier(2)
    assert each(lambda item, _: barrier.wait(10) is not None and item, [5, 6]) == [5, 6]


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

    each(work, range(6))
    assert max(most) <= count


@pytest.mark.parametrize(("count", "items"), [(1, 5), (4, 1), (4, 0)])
def test_without_use_for_threads_there_are_none(count, items, threads):
    threads(count)
    assert each(lambda *_: threading.current_thread(), range(items)) == [threading.current_thread()] * items


@pytest.mark.parametrize("count", [1, 2])
def test_exceptions_are_passed_on(count, threads):
    threads(count)

    def work(item, _):
        if item == 2:
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 2"):
        each(work, range(4))


def test_the_number_of_threads_is_as_before(threads):
    threads(2)
    each(lambda *_: None, range(4))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [1, 2])
def test_each_thread_has_one_room_for_all_of_its_items(count, threads):
    threads(count)
    barrier = threading.Barrier(count)

    def work(item, room):
        if item < count:
            barrier.wait(10)  # each thread has at least one item
        return threading.get_ident(), id(room)

    found = set(each(work, range(8)))
    assert len(found) == len({thread for thread, _ in found}) == len({room for _, room in found}) == count


def test_the_next_call_has_rooms_of_its_own():
    """What one call returns never lies in a room that another one writes to."""
    rooms = each(lambda _, room: room, [1]) + each(lambda _, room: room, [1])
    assert rooms[0] is not rooms[1]
