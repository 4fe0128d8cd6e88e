"""A job of SLURM that is told that its time is up: it is queued again and goes on from its checkpoint.

Lightning's own way would save a second checkpoint, ``hpc_ckpt_N.ckpt``, in the middle of a step, and go on from it only
where nothing else is asked for; so its handler is replaced (``stops.py``), and ``last.ckpt`` stays the only state.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

PATIENCE = 60
"""Seconds that SLURM may take to answer."""


def job() -> str | None:
    """The number of the job that this process is a part of, ``ARRAY_TASK`` in an array; ``None`` outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    number = f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")
    return number if re.fullmatch(r"\d+(_\d+)?", number) else None


def requeue_signals() -> tuple[int, ...]:
    """What ``sbatch --signal=USR1@SECONDS`` sends before the time is up; none outside SLURM."""
    return (signal.SIGUSR1,) if job() is not None and hasattr(signal, "SIGUSR1") else ()


def requeue() -> str:
    """Queue this job again; returns what became of it, for the user."""
    number = job()
    try:
        done = subprocess.run(
            ["scontrol", "requeue", str(number)], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"job {number} could not be queued again ({error})"
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f"job {number} could not be queued again (scontrol: {reason})"
    return f"job {number} is queued again"
