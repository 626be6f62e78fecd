"""The explorer as a reader meets it: JupyterLab, a real browser, a key press."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect
from scapre.paths import repository

NAME = "22_explorer"
SMALL = 'targets, kept, styles = ["dog"], ["wolf"], ["fluent"]'
SCREENSHOT = os.environ.get("SCAPRE_SCREENSHOTS", "")  # 1: the whole first look, stored beside the figures
PATIENCE = 240_000  # milliseconds; a loaded machine


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Serve a copy of the notebook, asking for fewer pictures; the address of JupyterLab."""
    desk = tmp_path / "desk"
    desk.mkdir()
    book = nbformat.read(repository() / "notebooks" / f"{NAME}.ipynb", as_version=4)
    first = next(c for c in book.cells if "parameters" in c.metadata.get("tags", []))
    first.source += "" if SCREENSHOT else f"\n{SMALL}"
    nbformat.write(book, desk / f"{NAME}.ipynb")
    quiet = tmp_path / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    places = ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    own = {name: str(tmp_path / name.lower()) for name in places}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "SCAPRE_OUT": str(tmp_path / "out")}
    options = ("--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=")
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={desk}"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
        try:
            yield _address(Path(own["JUPYTER_RUNTIME_DIR"]), server, tmp_path / "log")
        finally:
            server.terminate()
            server.wait(20)


def _address(folder: Path, server: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(1200):  # two minutes: a busy machine starts it late
        for note in folder.glob("jpserver-*.json"):
            return json.loads(note.read_text())["url"]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def _bytes(picture: Locator) -> list[int]:
    return picture.evaluate("async e => [...new Uint8Array(await (await fetch(e.src)).arrayBuffer())]")


def test_a_key_press_changes_the_picture(lab: str, page: Page, strangers: list[str]) -> None:
    page.goto(f"{lab}lab/tree/{NAME}.ipynb?reset")
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle", timeout=PATIENCE)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    status = page.get_by_text("recognised after the edit")
    expect(status.or_(page.get_by_text("Error:"))).to_be_visible(timeout=PATIENCE)
    expect(status).to_be_visible()
    panel = page.locator(".jp-OutputArea .widget-vbox").first
    picture = panel.locator("img").first
    before, old = _bytes(picture), str(picture.get_attribute("src"))
    handle = panel.locator(".widget-hslider", has_text="strength s").locator(".noUi-handle")
    handle.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    # "computing …" may be gone before it is looked for; the picture is what must change
    expect(picture).not_to_have_attribute("src", old, timeout=PATIENCE)
    expect(panel.locator(".widget-readout", has_text="0.80")).to_have_count(1)
    expect(status).to_be_visible(timeout=PATIENCE)
    assert _bytes(picture) != before
    assert not page.locator(".jp-OutputArea-output[data-mime-type*=error]").count()
    assert strangers == []
    if SCREENSHOT:
        panel.screenshot(path=repository() / "figures" / NAME / "browser.png")
