"""Parts of a batch on the cores: same results as one after the other, whatever goes wrong in between."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.fast.threads import Cores, part_size

CPU = torch.device("cpu")


@pytest.fixture
def two_threads(threads):
    threads(2)


@pytest.fixture
def cores():
    return Cores()


def where(_):
    return threading.current_thread().name.startswith("core"), torch.get_num_threads(), torch.is_grad_enabled()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 9])
def test_results_are_in_the_order_of_the_parts(two_threads, count, cores):
    assert cores.map(lambda part: part**2, list(range(count)), CPU) == [part**2 for part in range(count)]


@pytest.mark.parametrize("call", ["first", "again"])
def test_each_part_runs_on_one_thread_of_its_own_without_gradient(two_threads, call, cores):
    assert cores.map(where, [0, 1, 2, 3], CPU) == [(True, 1, False)] * 4, call
    assert torch.get_num_threads() == 2
    assert torch.is_grad_enabled()


def test_two_parts_run_at_the_same_time(two_threads, cores):
    """Each waits for the other."""
    meeting = threading.Barrier(2, timeout=60)
    assert sorted(cores.map(lambda _: meeting.wait(), [0, 1], CPU)) == [0, 1]


def test_an_exception_arrives_and_the_number_of_threads_is_restored(two_threads, cores):
    def work(part):
        if part == 2:
            raise ValueError("part 2")
        return part

    with pytest.raises(ValueError, match="part 2"):
        cores.map(work, [0, 1, 2, 3], CPU)
    assert torch.get_num_threads() == 2
    assert cores.map(where, [0, 1], CPU) == [(True, 1, False)] * 2, "and it still works"


def test_parts_that_would_leave_a_core_idle_run_here_with_all_threads(two_threads, cores):
    assert cores.map(where, [0, 1, 2], CPU) == [(False, 2, False)] * 3
    assert cores.map(where, list(range(9)), CPU)[0][0], "one idle moment in nine parts is worth it"


def test_under_autocast_and_on_another_device_parts_run_here(two_threads, cores):
    with torch.autocast("cpu", torch.bfloat16):
        assert cores.map(where, [0, 1], CPU) == [(False, 2, False)] * 2
    assert cores.map(where, [0, 1], torch.device("meta")) == [(False, 2, False)] * 2


def test_with_one_thread_parts_run_here_without_gradient(cores):
    assert cores.map(where, [0, 1], CPU) == [(False, 1, False)] * 2


def test_work_within_work_does_not_wait_for_itself(two_threads, cores):
    assert cores.map(lambda _: cores.map(where, [0, 1], CPU), [0, 1], CPU) == [[(True, 1, False)] * 2] * 2


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 50))
def test_parts_are_as_large_as_allowed_and_share_out_evenly(count, most):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        size = part_size(count, most, CPU)
    finally:
        torch.set_num_threads(before)
    assert 1 <= size <= max(1, most)
    parts = -(-count // size)
    assert parts >= min(2, count), "a core is idle only where there is no image for it"


def test_gradients_of_all_parts_are_added_and_a_second_backward_pass_is_refused(two_threads, cores):
    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    unused = torch.ones(2, requires_grad=True)
    parts = [torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0], [100.0, 200.0]])]
    squares, sums = cores.map_with_gradient(lambda part: (part * weight**2, part + weight), parts, [weight, unused])
    torch.testing.assert_close(squares, torch.cat(parts) * torch.tensor([4.0, 9.0]))
    total = squares.sum() + 5 * sums.sum()
    total.backward(retain_graph=True)
    torch.testing.assert_close(weight.grad, torch.tensor([111 * 4.0 + 15, 222 * 6.0 + 15]))
    assert unused.grad is not None
    assert not unused.grad.any()
    with pytest.raises(TypeError):
        total.backward()


def test_an_error_in_a_part_is_raised_and_the_threads_are_given_back(two_threads, cores):
    weight = torch.ones(1, requires_grad=True)

    def fails(_):
        raise RuntimeError("a part failed")

    with pytest.raises(RuntimeError, match="a part failed"):
        cores.map_with_gradient(fails, [0, 1], [weight])
    assert torch.get_num_threads() == 2
