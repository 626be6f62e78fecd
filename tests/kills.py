"""Work in a copy of this process that is killed at a random moment, as power cuts and schedulers kill."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator

KILLS = 20
#: of a real command, which takes seconds to come up; `make thorough` asks for all twenty
REAL = int(os.environ.get("SCAPRE_KILLS", "4"))
PATIENCE = 60.0  # seconds for work to come as far as wanted


def moments(longest: float, count: int = KILLS, seed: int = 0) -> Iterator[float]:
    """Seconds from a point of the work to a kill, of each kill."""
    generator = random.Random(seed)
    return (generator.uniform(0, longest) for _ in range(count))


def kill(job: Callable[[], object], begun: Callable[[], bool], seconds: float) -> bool:
    """Run a job in a fork and kill it with signal 9 some seconds after it has begun what is waited for.

    Returns:
        whether it was still at work.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the threads of a test runner
        child = os.fork()
    if child == 0:
        try:
            job()
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    _wait(child, begun, PATIENCE)
    _wait(child, lambda: False, seconds)
    # a child that hangs says where it does: pytest's faulthandler answers this signal
    os.kill(child, signal.SIGKILL if begun() else signal.SIGABRT)
    ended = os.waitpid(child, 0)[1]
    assert begun(), f"the child ended with status {ended} before it had begun; it says why in the captured stderr"
    return os.WIFSIGNALED(ended)


def _wait(child: int, done: Callable[[], bool], seconds: float) -> None:
    """Until something is done, the process has ended, or seconds are over."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.001)
