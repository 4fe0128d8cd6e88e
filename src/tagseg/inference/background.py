"""Threads that read the next photos and write the files of the last ones while the network is busy.

Only for NumPy and Pillow, which release Python's global lock. PyTorch would start threads of its own in each of these.
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
    """A pool of a few threads; a context whose exit waits for all jobs.

    After an error or Ctrl-C, jobs that have not started are dropped and the running ones are waited for, so no job is
    half done.

    Args:
        threads: number of threads; 0 runs each job at once in the caller's thread.
    """

    def __init__(self, threads: int) -> None:
        if threads < 0:
            raise TagsegError(f"writers is {threads}, expected a number of threads, or 0 to write in the foreground")
        self._most = 2 * threads  # bounds memory: each job holds a photo and its label maps
        self._jobs: list[Future[T]] = []
        self._through = 0  # number of leading jobs that have succeeded
        self._pool = ThreadPoolExecutor(threads, "tagseg-background") if threads else None

    def add(self, job: Callable[[], T]) -> None:
        """Submit a job. Waits while too many are unfinished, and raises the exception of an earlier job."""
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
        """Results of the jobs that have succeeded, in the order of submission."""
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
        """Wait for the oldest unfinished job; raises its exception."""
        self._jobs[self._through].result()
        self._through += 1


def ahead(work: Callable[[S], T], items: Iterable[S], count: int) -> Iterator[T]:
    """``work`` of each item, in order, computed by a thread up to ``count`` items ahead of the caller; 0: no thread."""
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
