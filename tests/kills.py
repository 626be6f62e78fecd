"""Work in a copy of this process that is killed at a random moment, as power cuts and schedulers kill."""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from collections.abc import Callable, Iterator

KILLS = 20
PATIENCE = 60.0  # seconds for work to come as far as wanted


def moments(longest: float, seed: int = 0) -> Iterator[float]:
    """Seconds from a point of the work to a kill, of ``KILLS`` kills."""
    generator = random.Random(seed)
    return (generator.uniform(0, longest) for _ in range(KILLS))


def kill(job: Callable[[], object], begun: Callable[[], bool], seconds: float) -> None:
    """Run a job in a fork and kill it with signal 9 some seconds after it has begun what is waited for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the threads of a test runner
        child = os.fork()
    if child == 0:
        try:
            job()
        finally:
            os._exit(0)
    deadline = time.monotonic() + PATIENCE
    while not begun() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert begun()
