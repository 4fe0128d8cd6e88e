"""Reading the next photos and writing the files of the last ones in threads, while the network works.

Only for NumPy and Pillow: they release Python's lock where they take long. PyTorch would start a team of threads of its
own in each of ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from tagseg.errors import TagsegError

S = TypeVar("S")
T = TypeVar("T")


class Background(Generic[T]):
    """Jobs for a few threads; a context that is left when all of them are through.

    Where one fails, or Ctrl-C comes, jobs that have not begun are dropped and the others are waited for: none is half
    done, and ``done`` is exact.

    Args:
        threads: 0 does each job at once, in the foreground.
    """

    def __init__(self, threads: int) -> None:
        if threads < 0:
            raise TagsegError(f"writers is {threads}, expected a number of threads, or 0 to write in the foreground")
        self._most = 2 * threads  # more would fill the memory: each job holds a photo and what was found in it
        self._jobs: list[Future[T]] = []
        self._through = 0  # so many of them, from the first on, have succeeded
        self._pool = ThreadPoolExecutor(threads, "tagseg-background") if threads else None

    def add(self, job: Callable[[], T]) -> None:
        """Hand a job in; waits where too many are unfinished, and raises what an earlier one has raised."""
        if self._pool is None:
            finished: Future[T] = Future()
            finished.set_result(job())
            self._jobs.append(finished)
            return
        self._jobs.append(self._pool.submit(job))
        while self._through < len(self._jobs) and (
            self._jobs[self._through].done() or len(self._jobs) - self._through > self._most
        ):
            self._wait()

    def done(self) -> list[T]:
        """Results of the jobs that have succeeded, in the order in which they were handed in."""
        through = [job for job in self._jobs if job.done() and not job.cancelled()]
        return [job.result() for job in through if job.exception() is None]

    def __enter__(self) -> Background[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._through < len(self._jobs):
                self._wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)

    def _wait(self) -> None:
        """Until the oldest unfinished job is through; raises what it raised."""
        self._jobs[self._through].result()
        self._through += 1


def ahead(work: Callable[[S], T], items: Iterable[S], count: int) -> Iterator[T]:
    """``work`` of each item, in order; a thread is up to ``count`` items ahead of what has been taken, 0: none is."""
    if count == 0:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(1, "tagseg-ahead")
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
