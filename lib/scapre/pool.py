"""Run independent jobs on every core, or on a cluster, and lose no result."""

from __future__ import annotations

import logging
import os
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from scapre.mistakes import Mistake
from scapre.trail import follow

TRIES = 3  # processes one job may cost
CONNECT = 20  # seconds a scheduler has to answer
NUMBER = "SCAPRE_WORKER"  # environment variable that tells a process its number
SHOWN = 80  # characters of a job in a message

Job = TypeVar("Job")
Result = TypeVar("Result")
log = logging.getLogger(__name__)


class JobError(Mistake, RuntimeError):
    """Jobs failed; the message names them, the cause is the first one's own error."""


def cores() -> int:
    """Count the processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scatter(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[int, Result]]:
    """Call ``function`` on every job and yield ``(index, result)`` as they come.

    A job whose process dies is started again, twice at most; nothing that finished is
    run anew. Failed jobs do not stop the others: the error comes last.

    Args:
        function: defined at the top of a module, so that another process can import it.
        jobs: picklable arguments.
        workers: processes; None: one a core. The cores are shared out as their threads,
            unless OMP_NUM_THREADS is set.
        scheduler: None: processes of this machine. ``local``: a Dask cluster started here
            and stopped at the end, one thread a worker. ``tcp://host:port``: a running one,
            whose workers have scapre installed and read the same files.

    Raises:
        ValueError: fewer than one worker, or a number of workers for a running scheduler.
        TypeError: a function no other process can import.
        ModuleNotFoundError: Dask is asked for and not installed.
        ConnectionError: no scheduler answers.
        JobError: after the last result, when jobs failed.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers; give at least one")
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(f"{function!r} cannot reach another process; define it at the top of a module") from error
    if scheduler is None:
        return _on_processes(function, jobs, min(workers or cores(), max(1, len(jobs))))
    if scheduler != "local" and workers is not None:
        raise ValueError(f"{scheduler} has its own workers; leave workers out")
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError('a scheduler needs Dask; install it with pip install "scapre[cluster]"') from error
    return _on_dask(distributed, function, jobs, workers or cores(), scheduler)


def _on_processes(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, Result]]:
    """Keep one pool a worker, so that a death concerns one job and is known to be its own."""
    threads = max(1, cores() // workers)
    waiting, deaths, failed = deque(range(len(jobs))), Counter[int](), dict[int, BaseException]()
    idle = [_Process(number) for number in range(workers)]
    busy: dict[Future[Result], tuple[int, _Process]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                pool = idle.pop()
                try:
                    with _share(threads):
                        busy[pool.submit(function, jobs[waiting[0]])] = waiting[0], pool
                    waiting.popleft()
                except BrokenProcessPool:  # it died at rest
                    idle.append(_Process(pool.number))
            for done in wait(busy, return_when=FIRST_COMPLETED).done:
                index, pool = busy.pop(done)
                error = done.exception()
                if isinstance(error, BrokenProcessPool):
                    pool.shutdown()
                    pool = _Process(pool.number)
                    deaths[index] += 1
                    log.warning("the process of job %d died (%d of %d)", index, deaths[index], TRIES)
                    if deaths[index] < TRIES:
                        waiting.append(index)
                    else:
                        failed[index] = RuntimeError(f"its process died {TRIES} times: memory, a signal or an import")
                elif error is not None:
                    log.warning("job %d failed: %r", index, error)
                    failed[index] = error
                idle.append(pool)
                if error is None:
                    yield index, done.result()
    finally:
        for pool in idle + [pool for _, pool in busy.values()]:
            pool.shutdown(cancel_futures=True)
    _complain(failed, jobs)


class _Process(ProcessPoolExecutor):
    """One process, and its number among those that work side by side."""

    def __init__(self, number: int) -> None:
        super().__init__(1, get_context("spawn"), _enter, (number,))
        self.number = number


def _enter(number: int) -> None:
    os.environ[NUMBER] = str(number)
    follow()
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    """End with the process that started this one, which otherwise waits for ever for jobs of a dead one."""
    starter = parent_process()
    if starter is not None:
        starter.join()
        os._exit(1)


def worker_number() -> int:
    """Count which of the processes working side by side this is, from 0; 0 in a process that no pool started."""
    return int(os.environ.get(NUMBER, 0))


@contextmanager
def _share(threads: int) -> Iterator[None]:
    """Let processes that start here read their number of threads; a number already given stands."""
    given = "OMP_NUM_THREADS" in os.environ
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    try:
        yield
    finally:
        if not given:
            del os.environ["OMP_NUM_THREADS"]


@contextmanager
def _same_environment() -> Iterator[None]:
    """Take back what a Dask cluster leaves in this process: one thread for whatever starts after it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _on_dask(
    distributed: Any, function: Callable[[Job], Result], jobs: Sequence[Job], workers: int, scheduler: str
) -> Iterator[tuple[int, Result]]:
    with ExitStack() as stack:
        if scheduler == "local":
            stack.enter_context(_same_environment())
            place = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=min(workers, max(1, len(jobs))), threads_per_worker=1, dashboard_address=":0"
                )
            )
        else:
            place = scheduler
        try:
            client = stack.enter_context(distributed.Client(place, timeout=CONNECT))
        except (OSError, ValueError) as error:
            raise ConnectionError(
                f"no Dask scheduler answers at {scheduler}; start one with `dask scheduler`"
            ) from error
        futures = client.map(function, list(jobs), pure=False)
        place_of = {future.key: index for index, future in enumerate(futures)}
        failed = dict[int, BaseException]()
        for done in distributed.as_completed(futures):
            index = place_of[done.key]
            cause = done.exception()  # waits again where a finished result was lost with its worker
            if cause is None:
                yield index, done.result()
            else:
                log.warning("job %d failed: %r", index, cause)
                failed[index] = cause
    _complain(failed, jobs)


def _complain(failed: dict[int, BaseException], jobs: Sequence[Any]) -> None:
    if failed:
        first, *others = sorted(failed)
        also = f"; {len(others)} more failed: {', '.join(map(str, others[:5]))}" if others else ""
        raise JobError(f"job {first}, {repr(jobs[first])[:SHOWN]}: {failed[first]!r}{also}") from failed[first]
