"""Work in threads: a few for pictures and files, one for the network; memory does not grow with the requests."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

NAME = "tagseg-serve"
"""How the names of all threads begin."""


class Gone(Exception):
    """The client is gone: nobody waits for the result."""


class Workers:
    """Threads of one server.

    Args:
        threads: how many for work without the network.
    """

    def __init__(self, threads: int = 3) -> None:
        self._files = ThreadPoolExecutor(threads, NAME)
        self._network = ThreadPoolExecutor(1, f"{NAME}-network")
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """Work on pictures and files."""
        return await asyncio.get_running_loop().run_in_executor(self._files, work)

    async def with_network(self, work: Callable[[], T], gone: Callable[[], Awaitable[bool]]) -> T:
        """Work with the network, one after the other in order.

        Args:
            work: what is done.
            gone: whether nobody waits for it any more, asked when it is its turn.

        Raises:
            Gone: it was not begun, as nobody waits for it.
        """
        async with self._turn:
            if await gone():
                raise Gone
            return await asyncio.get_running_loop().run_in_executor(self._network, work)

    def stop(self) -> None:
        """Begin nothing any more."""
        for pool in (self._files, self._network):
            pool.shutdown(wait=False, cancel_futures=True)


def still_working(seconds: float, before: Collection[threading.Thread] = ()) -> bool:
    """Whether threads of a server go on after so many seconds; they cannot be ended from outside.

    Args:
        seconds: how long they may take to end.
        before: threads of others.
    """
    deadline = time.monotonic() + seconds
    while threads := [one for one in threading.enumerate() if one.name.startswith(NAME) and one not in before]:
        if time.monotonic() >= deadline:
            return True
        threads[0].join(0.05)
    return False
