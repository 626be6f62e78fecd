"""After an edit: what is left of the targets and their synonyms, and how far others moved."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import scapre
import torch
from scapre.cli import app
from scapre.experiments.check import check, synonyms_of, usual, verdict
from scapre.model.projections import read_projections, unet_of
from scapre.patch.edits import save_pipeline
from scapre.text.embeddings import encode
from toys import tiny_pipe
from typer.testing import CliRunner

METHODS = ["staged", "confined"]


@pytest.mark.parametrize("method", METHODS)
def test_the_table_is_what_the_edited_model_answers(method: str) -> None:
    pipe = tiny_pipe()
    options = {"retained": ["tree", "boat"], "method": method, "templates": "name", "progress": False}
    patch = scapre.erase(pipe, ["cat", "dog"], anchors=["sun", "rose"], **options)
    table = check(pipe, patch, synonyms={"cat": ["lemon"]}, neighbours=["red", "Cat"]).set_index("name")
    assert table["kind"].to_dict() == {
        "cat": "target",
        "dog": "target",
        "lemon": "synonym",
        "tree": "kept",
        "boat": "kept",
        "red": "neighbour",
    }

    def answers(name: str) -> torch.Tensor:
        feature = encode(pipe, [name]).features[0].double()
        return torch.cat([w.double() @ feature for w in read_projections(unet_of(pipe)).values()])

    before = {name: answers(name) for name in (*table.index, "sun", "rose")}
    with patch.applied(pipe):
        after = {name: answers(name) for name in table.index}
    for name, goal in (("cat", "sun"), ("dog", "rose"), ("lemon", "sun")):
        left = (after[name] - before[goal]).norm() / (before[name] - before[goal]).norm()
        assert table["residual"][name] == pytest.approx(float(left), rel=1e-5)
    for name in table.index:
        moved = (after[name] - before[name]).norm() / before[name].norm()
        assert table["drift"][name] == pytest.approx(float(moved), rel=1e-5, abs=1e-7)
    assert table["residual"][["tree", "boat", "red"]].isna().all()
    assert table["ok"]["cat"] == (table["residual"]["cat"] <= 0.5)


def rows(targets: float, drift: float) -> pd.DataFrame:
    kinds = [("target", "a", "a", targets, 1.0), ("kept", "b", "", float("nan"), drift)]
    table = pd.DataFrame(kinds, columns=["kind", "name", "of", "residual", "drift"])
    return table.assign(ok=[targets <= 0.5, drift <= 0.5])


@pytest.mark.parametrize(
    ("residual", "drift", "drawn", "said"),
    [
        (0.1, 0.1, {}, "it worked: forgotten in the text path: 1 of 1 targets"),
        (0.9, 0.1, {}, "not forgotten: "),
        (0.1, 0.9, {}, "forgotten, but others are damaged"),
        (0.9, 0.9, {}, "not forgotten, and others are damaged"),
        (0.9, 0.9, {"unlearn": 0.0, "preserve": 95.0}, "it worked: "),
        (0.1, 0.1, {"unlearn": 60.0, "preserve": 95.0}, "not forgotten: "),
        (0.1, 0.1, {"unlearn": 0.0, "preserve": 95.0, "bystander": 20.0}, "forgotten, but others are damaged"),
    ],
)
def test_pictures_decide_where_there_are_some(residual: float, drift: float, drawn: dict, said: str) -> None:
    found = verdict(rows(residual, drift), drawn)
    assert found.sentence.startswith(said)
    assert (found.forgotten, found.kept) == (said.startswith(("it worked", "forgotten")), "damaged" not in said)


def test_published_edits_say_what_one_of_this_size_usually_does() -> None:
    weak, strong = usual(rows(0.95, 0.05)), usual(rows(0.05, 0.1))
    assert weak["unlearn"] > strong["unlearn"]
    assert usual(rows(0.1, float("nan"))) == {}
    assert synonyms_of(["airplane", "no such"])["airplane"] == ["aeroplane", "jet", "plane"]


@pytest.mark.slow
def test_the_command_says_whether_it_worked(tmp_path: Path) -> None:
    pipe = scapre.load_pipeline()
    patch = scapre.erase(pipe, ["airplane"], retained=["rocket", "cat", "rose"], progress=False)
    patch.save(tmp_path / "edit.safetensors")
    patch.scaled(0.02).save(tmp_path / "weak.safetensors")
    words = ["check", "--patch", str(tmp_path / "edit.safetensors"), "--out", str(tmp_path / "table.csv")]
    done = CliRunner().invoke(app, words)
    assert "recognised in pictures: unlearn" in done.output, done.exception
    assert ("it worked" in done.output) == (done.exit_code == 0)
    table = pd.read_csv(tmp_path / "table.csv")
    assert set(table["kind"]) == {"target", "synonym", "kept", "neighbour"}
    weak = CliRunner().invoke(app, ["check", "--patch", str(tmp_path / "weak.safetensors"), "--no-pictures"])
    assert weak.exit_code == 3
    assert "not forgotten" in weak.output
    with patch.applied(pipe):
        save_pipeline(pipe, tmp_path / "edited")
    again = CliRunner().invoke(app, [*words, "--model", str(tmp_path / "edited")])
    assert again.exit_code == 1
    assert "it is applied already" in again.output
    for pair, complaint in (("airplane", "cannot read the synonyms"), ("dog: puppy", "'dog' is no target")):
        assert complaint in CliRunner().invoke(app, [*words, "--synonyms", pair]).output
