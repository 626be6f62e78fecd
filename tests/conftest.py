"""What tests share: a process as it was at its start, and a real browser."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import hypothesis
import pytest
import torch
from limits import largest_file
from playwright.sync_api import Browser, Page, Request, sync_playwright
from tqdm import tqdm
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# tqdm's lock is shared with forked processes: one killed while it draws its bar would hold it for ever
tqdm.set_lock(threading.RLock())

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# the same examples in every run; a failure found once is found again
hypothesis.settings.register_profile("repeated", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeated")


def pytest_itemcollected(item: pytest.Item) -> None:
    """What opens a browser is slow."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker("slow")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Hand tests out by what must stay in one process."""
    return Together(config, log)


class Together(LoadScopeScheduling):
    """A notebook's cells, and what is read of it after them, stay together; any other test goes to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        book = re.search(r"(\w+)\.ipynb::|test_written\.py::.*\[(\w+)]", nodeid)
        return f"notebook {book[1] or book[2]}" if book else nodeid


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Moments kept on disk lie in a folder of the session, not in the user's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SCAPRE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gradients on and one seed, whatever ran before: notebooks and sweeps switch gradients off for their process.

    Where the run's own notebooks write is known to the test of what they wrote, and to no other. The environment is
    afterwards what it was: a Dask cluster leaves one thread to whatever its process starts later.
    """
    before = dict(os.environ)
    if request.path.name != "test_written.py":
        monkeypatch.delenv("SCAPRE_OUT", raising=False)
    torch.set_grad_enabled(True)
    torch.manual_seed(0)
    yield
    torch.set_grad_enabled(True)
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        left = pyplot.get_fignums()
        pyplot.close("all")
        assert not left, "a figure is left open, which the next test in this process would take for its own"
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, headless, with a profile of its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("there is no chromium; run: apt-get update && apt-get install --no-install-recommends chromium")
    with sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty window."""
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    yield context.new_page()
    context.close()


@pytest.fixture
def strangers(page: Page) -> list[str]:
    """Addresses outside this machine that the window asks for."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if (urlsplit(request.url).hostname or "") not in ("", "127.0.0.1", "localhost"):
            asked.append(request.url)

    page.on("request", note)
    return asked


@pytest.fixture
def small_files() -> Iterator[None]:
    """A disk that fills up: 64 kB a file."""
    with largest_file(1 << 16):
        yield
