"""The static site, opened from the disk in a real browser."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page
from scapre.paths import repository
from scapre.workbook.claims import Register
from scapre.workbook.origins import findings, number
from scapre.workbook.runner import notebooks
from scapre.workbook.site import SiteError, build_site

LOADED = "() => [...document.images].map(i => [i.getAttribute('src').slice(0, 80), i.complete && i.naturalWidth > 0])"

ANCHORLESS = """() => [...document.links].filter(a => a.hash && a.pathname === location.pathname
    && ![a.hash.slice(1), decodeURIComponent(a.hash.slice(1))].some(i => document.getElementById(i)))
    .map(a => a.href)"""


def _pixel() -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (4, 3)).save(held, "png")
    return held.getvalue()


PIXEL = _pixel()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return build_site(tmp_path_factory.mktemp("site"), progress=False)


def faults(page: Page, path: Path, strangers: list[str]) -> list[str]:
    """Open a page and list what is broken on it."""
    errors: list[str] = []
    page.on("requestfailed", lambda r: errors.append(f"failed: {r.url[:80]}"))
    page.on("pageerror", lambda e: errors.append(f"script: {e}"))
    page.goto(path.as_uri())
    if page.locator("script[src*=mathjax]").count():
        page.evaluate("() => MathJax.startup.promise")
    page.evaluate("() => document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    errors += [f"picture: {src}" for src, loaded in page.evaluate(LOADED) if not loaded]
    for address in page.evaluate("() => [...document.links].map(a => a.href)"):
        parts = urlsplit(address)
        if parts.scheme == "file" and not Path(unquote(parts.path)).is_file():
            errors.append(f"link: {address}")
    errors += [f"anchor: {address}" for address in page.evaluate(ANCHORLESS)]
    errors += [f"formula: {text}" for text in page.locator("mjx-merror").all_inner_texts()]
    return errors + [f"outside: {url}" for url in strangers]


def test_every_page_is_whole_without_a_network(site: list[Path], page: Page, strangers: list[str]) -> None:
    page.context.set_offline(True)
    root = site[0].parent
    assert {p.stem for p in root.glob("notebooks/*.html")} == {p.stem for p in notebooks()}
    for path in site:
        assert faults(page, path, strangers) == [], path
        assert path.stat().st_size <= 2_000_000, path


def test_every_figure_is_shown(site: list[Path], page: Page) -> None:
    page.goto((site[0].parent / "FIGURES.html").as_uri())
    shown = {Path(src).name for src in page.evaluate("() => [...document.images].map(i => i.getAttribute('src'))")}
    assert shown == {p.name for p in (repository() / "figures").rglob("*.png")}


def test_marks_do_not_show_and_claims_have_a_page(site: list[Path]) -> None:
    shown = {path.stem: re.sub(r"<code>.*?</code>", "", path.read_text()) for path in site}
    assert not [name for name, text in shown.items() if "&lt;!--" in text]
    page = (site[0].parent / "CLAIMS.html").read_text()
    assert "What the paper claims" in page
    assert 'href="notebooks/10_scaling_curves.html#cell-id=' in page


def test_one_screen_says_what_it_is_and_what_was_found(site: list[Path], page: Page) -> None:
    page.goto(site[0].as_uri())
    register = Register(repository() / "data")
    shown = [number(register, f["number"]) for f in findings(repository(), register) if f.get("start")]
    assert page.locator(".start li b").all_inner_texts() == shown
    assert len(shown) == 5
    assert page.locator("main img").count() == 1
    assert "scapre.erase" in page.inner_text("main pre")
    last = page.locator("main p").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] < 1100


def test_the_dial_turns_without_a_kernel(site: list[Path], page: Page, strangers: list[str]) -> None:
    page.context.set_offline(True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((site[0].parent / "EXPLORER.html").as_uri())
    table = pd.read_csv(repository() / "data" / "results" / "22_explorer" / "dial.csv")
    first = page.locator("#dial-targets [role=img]").first
    seen = [(first.screenshot(), first.get_attribute("aria-label"))]
    for key in ("End", "Home"):  # by keyboard: the whole edit, none
        page.focus("#dial-strength")
        page.keyboard.press(key)
        seen.append((first.screenshot(), first.get_attribute("aria-label")))
    assert seen[0] == seen[1] != seen[2]
    assert page.get_attribute("#dial-strength", "aria-valuetext") == "0 %"
    for name, method in table[table["method"] != "unedited"][["targets", "method"]].drop_duplicates().to_numpy()[::3]:
        page.select_option("#dial-list", label=name)
        page.select_option("#dial-method", method)
        page.focus("#dial-strength")
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        at = table[(table["targets"] == name) & (table["method"] == method)]
        at = at[at["strength"] == sorted(at["strength"].unique())[-2]]
        rows = [at[at["side"] == side]["right"] for side in ("unlearn", "preserve")]
        counts = [f"{right.sum()} of {len(right)}" for right in rows]
        assert page.inner_text("#dial-said") == f"targets still recognised: {counts[0]} · others kept: {counts[1]}"
        assert page.locator(".sprites b").all_inner_texts()[0].removeprefix("✗ ").startswith(at["seen"].iloc[0])
    pictures = page.locator(".sprites [role=img]").evaluate_all("all => all.map(e => [e.offsetWidth, e.ariaLabel])")
    assert all(width >= 80 and " the judge sees: " in label for width, label in pictures)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert strangers == []


def test_no_page_is_wider_than_a_phone(site: list[Path], page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path in site:
        page.goto(path.as_uri())
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 390, path
        heading = page.locator("main h1").first.bounding_box()
        assert heading is not None
        assert heading["y"] < 300, path  # the list of pages is folded
    page.click("#pages summary")
    assert page.locator("#pages a").first.is_visible()


def test_a_notebook_shows_its_figure_first(site: list[Path], page: Page) -> None:
    page.goto((site[0].parent / "notebooks" / "02_conflict_analysis.html").as_uri())
    image = page.locator("main img").first
    assert image.get_attribute("src") == "../figures/02_conflict_analysis/score.png"
    book = (repository() / "notebooks" / "02_conflict_analysis.ipynb").read_text(encoding="utf-8")
    assert f"![{image.get_attribute('alt')}]" in book  # its own words, longer than the figure's message


def test_formulas_are_set_and_code_is_coloured(site: list[Path], page: Page) -> None:
    page.goto((site[0].parent / "notebooks" / "00_first_erasure.html").as_uri())
    page.evaluate("() => MathJax.startup.promise")
    assert page.locator("mjx-container svg").count() > 5
    assert "$" not in page.locator("main p").all_inner_texts()[4]
    assert page.locator(".highlight .kn").count() > 3


def test_the_check_sees_what_is_broken(site: list[Path], page: Page, strangers: list[str]) -> None:
    path = site[0].parent / "broken.html"
    path.write_text(
        '<img src="no.png"><a href="no.html">x</a><a href="#no">y</a><script src="https://example.invalid/x.js"></script>'
    )
    page.context.set_offline(True)
    page.add_init_script("MathJax = {startup: {promise: null}}")
    found = " ".join(faults(page, path, strangers))
    for part in ("picture: no.png", "link: file://", "anchor: file://", "outside: https://example.invalid", "failed: "):
        assert part in found, part


def test_a_link_to_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environment.yml").touch()
    (tmp_path / "README.md").write_text("[more](docs/more.md)")
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    monkeypatch.setattr("scapre.workbook.site._renderer", lambda: tmp_path / "environment.yml")
    with pytest.raises(SiteError, match=r"README\.md links to docs/more\.md, which is no file"):
        build_site(tmp_path / "site", progress=False)


def test_pages_linked_from_notebooks_are_built_and_links_keep_their_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("notebooks", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "environment.yml").touch()
    (tmp_path / "README.md").write_text("[first](notebooks/00_a.ipynb)")
    (tmp_path / "docs" / "more.md").write_text("[home](../README.md#top) [data](../environment.yml)")
    cell = nbformat.v4.new_markdown_cell("# 00 · One\n\n[more](../docs/more.md) [web](https://example.invalid)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / "00_a.ipynb")
    monkeypatch.setenv("SCAPRE_ROOT", str(tmp_path))
    monkeypatch.setattr("scapre.workbook.site._renderer", lambda: tmp_path / "environment.yml")
    pages = build_site(tmp_path / "site", progress=False)
    assert [p.relative_to(tmp_path / "site").as_posix() for p in pages] == [
        "index.html",
        "README.html",
        "FIGURES.html",
        "notebooks/00_a.html",
        "docs/more.html",
    ]
    assert 'href="notebooks/00_a.html"' in pages[1].read_text()
    book = pages[3].read_text()
    assert 'href="../docs/more.html"' in book
    assert 'href="https://example.invalid"' in book
    assert 'href="../README.html#top"' in pages[4].read_text()
    assert (tmp_path / "site" / "environment.yml").is_file()


def small_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A site of a README with a picture, the page of figures and one notebook."""
    for name in ("notebooks", "figures/00_a"):
        (folder / name).mkdir(parents=True)
    (folder / "environment.yml").touch()
    (folder / "README.md").write_text("[first](notebooks/00_a.ipynb)\n\n![a dog](figures/00_a/dogs.png)")
    said = PngInfo()
    said.add_text("Title", "Dogs are forgotten")
    Image.new("RGB", (40, 30)).save(folder / "figures" / "00_a" / "dogs.png", pnginfo=said)
    shown = nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(PIXEL).decode()})
    code = nbformat.v4.new_code_cell('book.figure(grid, "dogs")', outputs=[shown])
    cells = [nbformat.v4.new_markdown_cell("# 00 · One\n\nA quokka sits here."), code]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / "00_a.ipynb")
    monkeypatch.setenv("SCAPRE_ROOT", str(folder))
    monkeypatch.setattr("scapre.workbook.site._renderer", lambda: folder / "environment.yml")
    return build_site(folder / "site", progress=False)


def test_a_reader_searches_enlarges_and_dims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: Page) -> None:
    index, readme, pictures, book = small_site(tmp_path, monkeypatch)
    page.context.set_offline(True)
    page.goto(index.as_uri())
    page.fill("#search", "QUOKKA sits")
    page.click("#found a")
    assert page.url == book.as_uri()
    assert page.get_attribute("main img", "alt") == "Dogs are forgotten"
    page.fill("#search", "no such word")
    page.wait_for_function("document.getElementById('found').textContent === 'nothing found'")
    page.goto(pictures.as_uri())
    assert page.get_attribute("main img", "alt") == "Dogs are forgotten"
    page.click("main img")
    assert page.locator("#large[open] img").bounding_box()["width"] > 1000  # type: ignore[index]
    page.click("#large img")
    assert page.locator("#large[open]").count() == 0
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#light")
    dark = page.evaluate(paper)
    assert light == "rgb(255, 255, 255)" != dark
    page.goto(readme.as_uri())
    assert page.evaluate(paper) == dark
    assert page.get_attribute("main img", "alt") == "a dog"
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
