import threading
import time
from functools import partial

import pytest

from tagseg.errors import TagsegError
from tagseg.inference.background import Background, ahead


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_are_in_the_order_of_the_jobs(threads):
    def job(number: int) -> int:
        time.sleep(0.01 * (number % 3 == 0))
        return number

    with Background[int](threads) as work:
        for number in range(20):
            work.add(partial(job, number))
    assert work.done() == list(range(20))


def test_no_threads_do_the_job_at_once_where_it_was_handed_in():
    with Background[threading.Thread](0) as work:
        work.add(threading.current_thread)
        assert work.done() == [threading.main_thread()]


def test_too_many_unfinished_jobs_make_the_caller_wait():
    go = threading.Event()
    with Background[bool](2) as work:
        for _ in range(4):
            work.add(go.wait)
        threading.Timer(0.1, go.set).start()
        work.add(lambda: True)
        assert go.is_set(), "the fifth had to wait for one of 2 x 2"


@pytest.mark.parametrize("threads", [0, 2])
def test_a_jobs_error_is_raised_and_the_other_results_are_kept(threads):
    def broken() -> int:
        raise TagsegError("the disk is full")

    with pytest.raises(TagsegError, match="the disk is full"), Background[int](threads) as work:  # noqa: PT012
        work.add(lambda: 1)
        work.add(broken)
        for number in range(50):
            work.add(partial(int, number))
    assert work.done()[0] == 1
    assert len(work.done()) < 50


def test_an_interrupt_waits_for_what_runs_and_drops_what_has_not_begun():
    begun, go = threading.Event(), threading.Event()
    finished: list[str] = []

    def slow() -> str:
        begun.set()
        go.wait()
        finished.append("slow")
        return "slow"

    with pytest.raises(KeyboardInterrupt), Background[str | None](1) as work:  # noqa: PT012
        work.add(slow)
        work.add(lambda: finished.append("dropped"))
        begun.wait()
        threading.Timer(0.05, go.set).start()
        raise KeyboardInterrupt
    assert work.done() == finished == ["slow"]


def test_a_negative_number_of_threads():
    with pytest.raises(TagsegError, match="writers is -1"):
        Background(-1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_ahead_keeps_the_order_and_goes_no_further_than_it_may(count):
    taken = 0

    def items():
        for item in range(10):
            assert item <= taken + count, "read too far ahead"
            yield item

    for number, result in enumerate(ahead(lambda x: x * x, items(), count)):
        assert result == number**2
        taken = number + 1


def test_what_ahead_finds_broken_is_raised_in_its_turn():
    results = ahead(lambda x: 6 // x, [3, 2, 0, 1], 2)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
