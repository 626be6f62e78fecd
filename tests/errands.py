"""Jobs that other processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from scapre.pool import worker_number


def square(number: int) -> int:
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number**2


def threads(_: int) -> int:
    import torch

    return torch.get_num_threads()


def square_or_die(job: tuple[str, int, int]) -> int:
    """Note each start in a folder; number 3 kills its process as many times as told."""
    folder, number, deaths = job
    starts = len(list(Path(folder).glob(f"{number}.*")))
    (Path(folder) / f"{number}.{starts}").touch()
    if number == 3 and starts < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def numbered(_: int) -> int:
    time.sleep(0.2)  # so that each process takes some
    return worker_number()


def wait_and_tell(file: str) -> None:
    """Say which process this is, and stay."""
    Path(f"{file}.partial").write_text(str(os.getpid()))
    Path(f"{file}.partial").replace(file)
    time.sleep(600)
