from __future__ import annotations

from pathlib import Path

import pytest
from scapre.concepts.prompts import PromptError, read_prompts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("case_number,prompt,evaluation_seed,class\n7,a cat,42,cat\n", (7, "a cat", 42, "cat")),
        ("case_number,prompt,evaluation_seed,artist\n7,a hill,42,Monet\n", (7, "a hill", 42, "Monet")),
        ("case_number,prompt,evaluation_seed,concept\n7,a cat,42,cat\n", (7, "a cat", 42, "cat")),
        (",prompt,categories,hard,sd_seed,sd_guidance_scale\n0,a cat,x,1,42,7.5\n", (0, "a cat", 42, "")),
        ("id,type,text,concept,seed\n7,erase,a cat,cat,42\n", (7, "a cat", 42, "cat")),
        ('﻿case_number, prompt, class\n7,"a cat, a dog",cat\n', (7, "a cat, a dog", 7, "cat")),
        ("a cat, a dog\nanother\n", (0, "a cat, a dog", 0, "")),
        ('"a cat, a dog"\n', (0, "a cat, a dog", 0, "")),
    ],
)
def test_headers_of_the_field(tmp_path: Path, text: str, expected: tuple) -> None:
    file = tmp_path / "prompts.csv"
    file.write_text(text, encoding="utf-8")
    table = read_prompts(file)
    row = table.iloc[0]
    assert (row["case_number"], row["prompt"], row["evaluation_seed"], row["class"]) == expected
    assert (row["evaluation_guidance"] == 7.5) == ("sd_guidance_scale" in text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt\n", "holds no prompts"),
        ("", "holds no prompts"),
        ("prompt,class\na,x\n ,y\n", "row 2 has no prompt"),
        ("prompt,evaluation_seed\na,x\n", "row 1 has no whole number in column evaluation_seed .'x'"),
        ("prompt,evaluation_seed\na,1.5\n", "no whole number"),
        ("prompt,evaluation_guidance\na,high\n", "no number in column evaluation_guidance"),
        ("case_number,prompt\n3,a\n3,b\n", "case number 3 repeats"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "prompts.csv"
    file.write_text(text)
    with pytest.raises(PromptError, match=words):
        read_prompts(file)


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no prompt file"):
        read_prompts(tmp_path / "none.csv")
    (tmp_path / "bits.csv").write_bytes(b"\xff\xfe\x00prompt")
    with pytest.raises(PromptError, match="no UTF-8"):
        read_prompts(tmp_path / "bits.csv")
