"""Ray: started on this machine, or connected to the cluster of ``RAY_ADDRESS``; quiet, and gone at the end.

A local Ray listens to this machine alone, asks for a token that nobody else has, and reports nothing to anyone.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tagseg.errors import TagsegError

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
_LOCAL = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux, too: its servers listen to 127.0.0.1 alone
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers are this Python, however it was started
    "RAY_AUTH_MODE": "token",
}
AT_A_TIME = 1024
"""Blocks that Ray knows of at a time."""
_BLOCK, _BLOCK_ON_GPU = 16, 128
_OBJECT_STORE = 256 << 20
"""Bytes of shared memory of a local Ray: names of photos pass through it, photos and masks do not."""
_STARTS = 2
"""How often a local Ray is started, if it does not."""
_GONE_WITHIN = 1.0
"""Seconds that a worker may take to end by itself after its Ray has."""


@dataclass(frozen=True)
class Engine:
    """A Ray that runs.

    Attributes:
        ray: the module.
        workers: how many are to run.
        cpus: of each, whose number its threads follow.
        gpus: of each, 0 or 1.
    """

    ray: Any
    workers: int
    cpus: int
    gpus: int

    def block(self, photos: int) -> int:
        """How many of some photos a worker is given at a time."""
        return min(_BLOCK_ON_GPU if self.gpus else _BLOCK, max(1, photos // (8 * self.workers)))

    def map(
        self, rows: list[dict[str, Any]], block: int, worker: type, arguments: tuple[Any, ...], tries: int = -1
    ) -> Iterator[Any]:
        """What callable objects, one in each worker, return for blocks of rows; as they are ready.

        A worker that dies is started again, and the blocks that it had not finished are given out again.

        Args:
            rows: what is worked on, ``block`` × ``AT_A_TIME`` of them at most, so that memory is bounded.
            block: number of rows that are given out at a time.
            worker: a class whose objects take a block, a dict of columns, and return one.
            arguments: what its objects are made with.
            tries: how often a block is given out again; -1: any number.

        Raises:
            TagsegError: Ray stopped, or a worker raised an exception.
        """
        data, blocks = self.ray.data, -(-len(rows) // block)
        dataset = data.from_items(rows, override_num_blocks=blocks).map_batches(
            worker, fn_constructor_args=arguments, batch_size=None, num_cpus=self.cpus, num_gpus=self.gpus or None,
            compute=data.ActorPoolStrategy(size=min(self.workers, blocks)), max_task_retries=tries,
        )  # fmt: skip
        try:
            yield from dataset.iter_rows()
        except self.ray.exceptions.RayError as error:
            raise _one_line(error) from error


def check_engine(workers: int, device: str) -> None:
    """Refuse, before anything takes long, what ``started`` cannot do; its arguments.

    Raises:
        TagsegError: Ray is not installed, a negative number, or another device.
    """
    if not all(map(find_spec, ("ray", "pyarrow"))):
        raise TagsegError('Ray Data is not installed, expected it for the engine ray: pip install "tagseg[ray]"')
    if workers < 0:
        raise TagsegError(f"workers is {workers}, expected a number of processes, or 0 for one on each core or GPU")
    if device not in ("auto", "cpu", "cuda"):
        raise TagsegError(f"device is {device!r}, expected auto, cpu or cuda with the engine ray, which gives out GPUs")


@contextmanager
def started(workers: int, device: str) -> Iterator[Engine]:
    """A Ray for some workers; it ends with the context, and so do its processes.

    Args:
        workers: how many; 0: one for each GPU, without any one for each CPU core.
        device: ``auto``, ``cpu`` or ``cuda``: of the workers.

    Raises:
        TagsegError: Ray is not whole, does not start, or ``RAY_ADDRESS`` names no cluster.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    local = address in ("", "local")
    ray = _imported(local)
    if ray.is_initialized():  # by the caller, who also ends it
        yield _engine(ray, workers, device, False)
        return
    before, others = signal.getsignal(signal.SIGTERM), _descendants()
    try:
        for left in reversed(range(_STARTS if local else 1)):
            try:
                _start(ray, workers, address, local)
                break
            except TagsegError:  # on a busy machine Ray loses patience with itself
                if not left:
                    raise
                ray.shutdown()
                _end(_descendants() - others)
        _keep_signal(before)
        yield _engine(ray, workers, device, local)
    finally:
        with _undisturbed():
            running = _descendants() - others if local else set()
            ray.shutdown()
            _end(running)
        _keep_signal(before)


def _start(ray: Any, workers: int, address: str, local: bool) -> None:
    cores = max(workers, _cores())
    options = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": _OBJECT_STORE} if local else {}
    try:
        with _silenced():
            ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **options)
    except Exception as error:  # of many kinds, a bare one among them
        where = "Ray does not start" if local else f"Ray does not connect to RAY_ADDRESS={address}"
        way_out = "leave out --engine ray, or look into /tmp/ray" if local else "check it, or unset it for this machine"
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TagsegError(f"{where} ({line}): {way_out}") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


def _engine(ray: Any, workers: int, device: str, local: bool) -> Engine:
    there = ray.cluster_resources()
    gpus = int(there.get("GPU", 0)) if device != "cpu" else 0
    if device == "cuda" and not gpus:
        raise TagsegError("device is 'cuda', but Ray knows of no GPU: choose cpu")
    cpus = max(1, int(there.get("CPU", 1)))
    number = workers or gpus or cpus
    each = max(1, min(cpus, _cores()) // number) if local and not gpus else 1
    return Engine(ray, number, each, min(gpus, 1))


def _imported(local: bool) -> Any:
    """The module ``ray`` with ``ray.data``, whose loggers are quiet.

    It reads the environment when it is imported for the first time, and its native code keeps what it read: what is
    set here stays set, so that another Ray of the same process fits.

    Raises:
        TagsegError: it is not installed, or not whole.
    """
    if "ray" not in sys.modules:
        wanted = {**_QUIET, **(_LOCAL | {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if local else {})}
        os.environ.update({name: value for name, value in wanted.items() if name not in os.environ})
    try:
        ray = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise TagsegError(f'Ray Data is not whole ({error}), expected what pip install "tagseg[ray]" brings') from None
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return ray


@contextmanager
def _silenced() -> Iterator[None]:
    """Without standard error, where Ray's native code tells how it logs; its errors are exceptions."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _keep_signal(before: Any) -> None:
    """Ray takes SIGTERM over; what was there before ends all in the same way as without it."""
    if threading.current_thread() is threading.main_thread() and before is not None:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not stop the stopping, which takes a moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _descendants() -> set[Any]:
    """The processes that this one has started, and those that they have."""
    psutil = import_module("psutil")  # comes with Ray
    return set(psutil.Process().children(recursive=True))


def _end(processes: set[Any]) -> None:
    """Wait until processes are gone; those that do not go are killed."""
    _, left = import_module("psutil").wait_procs(processes, timeout=_GONE_WITHIN)
    for process in left:
        with suppress(Exception):  # it has gone meanwhile
            process.kill()


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _one_line(error: Exception) -> TagsegError:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    return TagsegError(f"a worker of Ray failed ({reason}); what is done is kept: start the same command again")
