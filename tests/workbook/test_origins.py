"""Where the site says things come from."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from scapre.paths import repository
from scapre.workbook.claims import ClaimError, Register
from scapre.workbook.manifest import write_manifest
from scapre.workbook.origins import claims_page, figure_line, findings

FINDING = """\
- by: ours
  says: Ours keep <more>.
  verdict: Holds.
  because: [09.leads]
  number: 09.kept
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    new = nbformat.v4
    (tmp_path / "data" / "results" / "09_x").mkdir(parents=True)
    (tmp_path / "data" / "findings.yaml").write_text(FINDING)
    lines = ('09.kept: pick("kept", method="ours")', '09.leads: pick("kept", method="ours") > 50')
    (tmp_path / "data" / "claims.yaml").write_text("results/09_x/t:\n  " + "\n  ".join(lines))
    (tmp_path / "data" / "results" / "09_x" / "t.csv").write_text("method,kept\nours,97.79\n")
    cells = [
        new.new_markdown_cell("# 09 · A\n\nwe <!--=09.leads-->lead<!--/-->", id="told"),
        new.new_code_cell("n = 1", metadata={"tags": ["parameters"]}, id="first"),
        new.new_code_cell('book.figure(lines(table), "curve")', id="drawn"),
    ]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new.new_notebook(cells=cells), tmp_path / "notebooks" / "09_x.ipynb")
    (tmp_path / "figures" / "09_x").mkdir(parents=True)
    (tmp_path / "figures" / "09_x" / "curve.png").write_bytes(b"x")
    return tmp_path


def test_every_finding_rests_on_true_claims() -> None:
    every = findings(repository(), Register())
    assert {finding["by"] for finding in every} == {"paper", "ours"}
    assert len(every) > 10


def test_a_claim_stands_beside_verdict_number_table_and_cell(root: Path) -> None:
    page = claims_page(root)
    assert "<td>Ours keep &lt;more&gt;.</td><td>Holds.</td><td>97.8</td><td></td>" in page
    assert '<a href="data/results/09_x/t.csv">t</a>' in page
    assert '<a href="notebooks/09_x.ipynb#cell-id=told">09_x, cell 0</a>' in page


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("97.79", "40", "rests on 09.leads, which is not so any more"),
        ("number: 09.kept", "number: 09.leads", "is no number"),
        ("because: [09.leads]", "because: [09.more]", "no claim is named 09.more"),
    ],
)
def test_a_verdict_that_does_not_hold_any_more_is_refused(root: Path, old: str, new: str, complaint: str) -> None:
    for path in (root / "data" / "findings.yaml", root / "data" / "results" / "09_x" / "t.csv"):
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ClaimError, match=complaint):
        claims_page(root)


def test_a_figure_names_its_cell_its_tables_and_its_code(root: Path) -> None:
    figure = root / "figures" / "09_x" / "curve.png"
    cell = 'made by <a href="notebooks/09_x.ipynb#cell-id=drawn">cell 2 of 09_x</a>'
    assert figure_line(figure, root) == cell
    (root / "lib").mkdir()
    (root / "lib" / "one.py").write_text("x = 1")
    (root / "trail").mkdir()
    opened = [f"r {root}/lib/one.py", f"r {root}/data/results/09_x/t.csv", f"w {root}/figures/09_x/curve.png"]
    (root / "trail" / "1").write_text("\n".join(opened))
    write_manifest(root / "notebooks" / "09_x.ipynb", root / "trail", "default", {}, 1.0, root)
    line = figure_line(figure, root)
    assert line.startswith(f'{cell} from <a href="data/results/09_x/t.csv">t</a><details><summary>with this code')
    assert '<a href="lib/one.py">one.py</a>' in line
    (root / "figures" / "bench").mkdir()
    assert figure_line(root / "figures" / "bench" / "sd1.png", root) == ""
