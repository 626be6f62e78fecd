"""The executed notebooks as a static site that works without a network."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import nbformat
from bs4 import BeautifulSoup
from jinja2 import Environment
from nbconvert import HTMLExporter
from nbconvert.filters.markdown import markdown2html
from pygments.formatters import HtmlFormatter
from tqdm.auto import tqdm

from scapre.concepts.npm import fetch_package
from scapre.files import replacing
from scapre.paths import data_folder, repository
from scapre.workbook.dial import dial_page, dial_sheets, has_dial
from scapre.workbook.origins import claims_page, figure_line
from scapre.workbook.reading import describe, search_index
from scapre.workbook.runner import notebooks
from scapre.workbook.start import start_page

MATHJAX = "3.2.2"  # formulas as SVG: one file, no fonts
PAGES = (".md", ".ipynb")
START = "START.md"  # the first page, made of README and findings, not a file
FIGURES = "FIGURES.md"  # a page made of figures/, not a file
EXPLORER = "EXPLORER.md"  # a page made of the pictures notebook 22 drew, where there are some
CLAIMS = "CLAIMS.md"  # a page made of data/findings.yaml, where there is one


class SiteError(ValueError):
    """A page of the site would be broken; the message names it and the link."""


def build_site(out: Path, *, progress: bool = True) -> list[Path]:
    """Write the site: a page to start from, README, every notebook, every page they link to, every figure.

    The site mirrors the repository, so that links keep their meaning; outputs are the stored
    ones, nothing is executed. The formulas' renderer is fetched with npm once and kept.

    Args:
        out: folder; pages in it are overwritten.

    Returns:
        the pages.

    Raises:
        SiteError: a page links to a file that does not exist.
        OSError: the renderer is not there and npm cannot fetch it.
    """
    root = repository().resolve()
    books = notebooks()
    names = {place(path, root): _title(path) for path in books}
    style = Path(__file__).with_name("site.css").read_text() + HtmlFormatter().get_style_defs(".highlight")
    template = Environment(autoescape=False).from_string(Path(__file__).with_name("site.html").read_text())
    queue, written = [root / START, root / "README.md", root / FIGURES, *(p.resolve() for p in books)], []
    told = (root / "data" / "findings.yaml").is_file()
    dial = has_dial(root)
    queue[3:3] = [root / CLAIMS] * told + [root / EXPLORER] * dial
    _write(out / "mathjax" / "tex-svg.js", _renderer().read_bytes())
    _write(out / "style.css", style.encode())
    for script in ("site.js", *["dial.js"] * dial):
        _write(out / script, Path(__file__).with_name(script).read_bytes())
    for sheet, content in dial_sheets(root).items() if dial else ():
        _write(out / sheet, content)
    indexed = {}
    with tqdm(queue, desc="pages", disable=not progress) as bar:
        for source in bar:  # grows while it is read
            here = place(source, root)
            body = _body(source, root)
            describe(body, source, root)
            indexed[here.as_posix()] = (names.get(here, here.stem if here.stem != "index" else "scapre"), body)
            for target in link(body, source, root):
                if target.suffix in PAGES:
                    queue += [target] if target not in queue else []
                else:
                    _write(out / target.relative_to(root), target.read_bytes())
            page = template.render(
                title=names.get(here, "scapre"),
                up="../" * (len(here.parts) - 1),
                told=told,
                dial=dial,
                names={path.as_posix(): escape(name) for path, name in names.items()},
                here=here.as_posix(),
                body=str(body),
            )
            written.append(_write(out / here, page.encode()))
    _write(out / "search.js", search_index(indexed))
    return written


def place(source: Path, root: Path) -> Path:
    """Where a page of the repository lies in the site."""
    inside = source.resolve().relative_to(root)
    return Path("index.html") if inside == Path(START) else inside.with_suffix(".html")


def link(body: BeautifulSoup, source: Path, root: Path) -> list[Path]:
    """Point links to pages at their place in the site, and list the files a page needs.

    Raises:
        SiteError: a linked file does not exist in the repository.
    """
    needed, made = [], {root / name for name in (FIGURES, CLAIMS, EXPLORER)}
    for tag, attribute in (("a", "href"), ("img", "src")):
        for element in body.find_all(tag, attrs={attribute: True}):
            parts = urlsplit(str(element[attribute]))
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = (source.parent / unquote(parts.path)).resolve()
            if not target.is_relative_to(root) or not (target.is_file() or target in made):
                raise SiteError(f"{source.relative_to(root)} links to {parts.path}, which is no file here")
            if target.suffix in PAGES:
                path = os.path.relpath(place(target, root), place(source, root).parent)
                element[attribute] = parts._replace(path=Path(path).as_posix()).geturl()
            needed.append(target)
    return needed


def _body(source: Path, root: Path) -> BeautifulSoup:
    if source.suffix == ".ipynb":
        exporter = HTMLExporter(template_name="basic")
        html, _ = exporter.from_notebook_node(nbformat.read(source, as_version=4))
    elif source.name == FIGURES:
        html = "<h1>Figures</h1>"
        for path in sorted((root / "figures").rglob("*.png")):
            inside = path.relative_to(root).as_posix()
            name = inside.removeprefix("figures/").removesuffix(".png")
            html += f'<figure><img src="{inside}" alt="{name}" loading="lazy"><figcaption>{name}'
            html += (
                f" · {line}</figcaption></figure>" if (line := figure_line(path, root)) else "</figcaption></figure>"
            )
    elif source.name == CLAIMS:
        html = claims_page(root)
    elif source.name == EXPLORER:
        html = dial_page(root)
    elif source.name == START:
        html = start_page(root, next(iter(notebooks()), None))
    else:
        html = markdown2html(source.read_text())
    return BeautifulSoup(html, "html.parser")


def _title(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")


def _renderer() -> Path:
    """MathJax in the cache, fetched when it is not there."""
    kept = data_folder() / "cache" / "mathjax" / f"tex-svg-{MATHJAX}.js"
    if not kept.is_file():
        with TemporaryDirectory() as folder:
            _write(kept, (fetch_package("mathjax", MATHJAX, Path(folder)) / "es5" / "tex-svg.js").read_bytes())
    return kept


def _write(path: Path, content: bytes) -> Path:
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path
