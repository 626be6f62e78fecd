from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from scapre.concepts.prompts import PromptError, read_prompts
from strange import files, repeated


def read(folder: Path, text: str, **options: bool) -> list[list]:
    file = folder / "prompts.csv"
    file.write_bytes(text.encode())
    return read_prompts(file, **options).to_dict("split")["data"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("case_number,prompt,evaluation_seed,class\n7,a cat,42,cat\n", (7, "a cat", 42, "cat")),
        ("case_number,prompt,evaluation_seed,artist\n7,a hill,42,Monet\n", (7, "a hill", 42, "Monet")),
        ("case_number,prompt,evaluation_seed,concept\n7,a cat,42,cat\n", (7, "a cat", 42, "cat")),
        (",prompt,categories,hard,sd_seed,sd_guidance_scale\n0,a cat,x,1,42,7.5\n", (0, "a cat", 42, "")),
        ("id,type,text,concept,seed\n7,erase,a cat,cat,42\n", (7, "a cat", 42, "cat")),
        ('﻿case_number, prompt, class\n7,"a cat, a dog",cat\n', (7, "a cat, a dog", 7, "cat")),
        ("case_number;prompt;evaluation_seed\n7;a cat, a dog;42\n", (7, "a cat, a dog", 42, "")),
        ("Case Number\tPROMPT\tSeed\n7\ta cat, a dog\t42\n", (7, "a cat, a dog", 42, "")),
        ("\n \nprompt|seed\na cat|42\n", (0, "a cat", 42, "")),
        ("Prompt,Seed\na cat,42\n", (0, "a cat", 42, "")),
        ("caption\na cat\n", (0, "a cat", 0, "")),
        ("id,adv_prompt\n7,a cat\n", (7, "a cat", 7, "")),
        ("image_id,caption,classes\n7,a cat,cat\n", (7, "a cat", 7, "cat")),
        ("case_num,prompt,artists\n7.0,a cat,Monet\n", (7, "a cat", 7, "Monet")),
        ('{"prompt": "a cat", "seed": 42}\n{"prompt": "a dog"}\n', (0, "a cat", 42, "")),
        ('[{"prompt": "a cat", "seed": 42}]', (0, "a cat", 42, "")),
        ('{"prompt": ["a cat"], "seed": [42]}', (0, "a cat", 42, "")),
        ('["a cat", "a dog"]', (0, "a cat", 0, "")),
        ("prompt,evaluation_seed\na dog, running,5\n", (0, "a dog, running", 5, "")),
        ("case_number,prompt,evaluation_seed\n7,a dog,  running,5\n", (7, "a dog,  running", 5, "")),
        ("prompt\na dog, running\n", (0, "a dog, running", 0, "")),
        ('prompt,seed\n"a \\"big\\" dog, running",5\n', (0, 'a "big" dog, running', 5, "")),
        ('prompt,seed\n"a ""big"" dog, running",5\n', (0, 'a "big" dog, running', 5, "")),
        ('prompt,class\r\n"a cat\r\nin rain",cat\r\n', (0, "a cat\r\nin rain", 0, "cat")),
        ("prompt,seed\na cat,18446744073709551615\n", (0, "a cat", 2**64 - 1, "")),
        ("prompt,seed,\na cat,42,\n", (0, "a cat", 42, "")),
        ("a cat, a dog\nanother\n", (0, "a cat, a dog", 0, "")),
        ('"a cat, a dog"\n', (0, "a cat, a dog", 0, "")),
        ("[cat:dog:0.5] running\na dog\n", (0, "[cat:dog:0.5] running", 0, "")),
        ("cat\ndog\n", (0, "cat", 0, "")),
        ("prompt\nNA\n", (0, "NA", 0, "")),
        ("# made by hand\nprompt,seed\na cat,42\n", (0, "a cat", 42, "")),
        ("sep=;\nprompt;seed\na cat, a dog;42\n", (0, "a cat, a dog", 42, "")),
        ("prompt,seed,,\na cat,42,,\n", (0, "a cat", 42, "")),
        (",,prompt\n7,0,a cat\n", (7, "a cat", 7, "")),
        ("prompt_id,prompt\n7,a cat\n", (7, "a cat", 7, "")),
        ('{"data": [{"prompt": "a cat", "seed": 42}]}', (0, "a cat", 42, "")),
        ("1. a cat\n2. a dog\n", (0, "a cat", 0, "")),
        ("# animals\n- a cat\n- a dog\n", (0, "a cat", 0, "")),
    ],
)
def test_lists_of_the_field_are_read_as_they_come(tmp_path: Path, text: str, expected: tuple) -> None:
    row = read(tmp_path, text)[0]
    assert tuple(row[:4]) == expected
    assert (row[4] == 7.5) == ("sd_guidance_scale" in text)


@pytest.mark.parametrize(
    "text",
    [
        "sensitive prompt,normal prompt\na,b\n",
        "sensitive prompt\na gun\n",
        "original_prompt,adv_prompt\na,b\n",
        "satz;saat\neine Katze;5\n",
        "nummer,satz\n1,eine Katze\n2,ein Hund\n",
        "satz,klasse\neine Katze,katze\n",
        "description\na red cat\nan old dog\n",
        "beschreibung\neine rote Katze\nein alter Hund\n",
        "image_path\na.png\n",
        '{"sentence_a": "a cat"}\n',
    ],
)
def test_a_header_is_never_drawn(tmp_path: Path, text: str) -> None:
    with pytest.raises(PromptError, match="no column is named 'prompt'"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt\n", "holds no prompts"),
        ("", "holds no prompts"),
        ("\n\n", "holds no prompts"),
        ("prompt,class\n ,y\n", "holds no prompts"),
        ("prompt,evaluation_seed\na,x\n", "row 1 has no number in column evaluation_seed .'x'"),
        ("prompt,evaluation_seed\na,1.5\n", "no whole number"),
        ("prompt,evaluation_seed\na,-1\n", "no whole number from 0 to 18446744073709551615"),
        ("prompt,evaluation_seed\na,18446744073709551616\n", "no whole number from 0"),
        ("prompt,evaluation_guidance\na,high\n", "no number in column evaluation_guidance"),
        ("prompt,evaluation_guidance\na,inf\n", "no number in column evaluation_guidance"),
        ("prompt,seed\na,1e999999999\n", "no number in column evaluation_seed"),
        ("case_number,prompt\n3,a\n3,b\n", "case number 3 repeats"),
        ("case_number,prompt\n-3,a\n", "row 1 has no whole number from 0"),
        ("case_number,prompt\n3,a\n,b\n", "row 2 has no case number"),
        ("image_id,prompt\nCOCO_1,a\n", "row 1 has no number in column case_number"),
        ("prompt,class\na dog, running,dog\n", "row 1 has 3 cells under 2 columns; put quotes"),
        ('prompt,class\n"a dog,dog\n', "its quotes do not match"),
        ("prompt,prompt\na,b\n", "two columns 'prompt'"),
        ('{"prompt": "a"\n', "no intact JSON"),
        ('{"prompt": ["a"], "seed": []}', "differ in length"),
        ("[1, 2]", "no list of records"),
        ('[{"prompt": ["a", "b"]}]', "the column 'prompt' holds lists or records"),
        ("| prompt | seed |\n|---|---|\n| a cat | 1 |\n", "a table of Markdown; save it as CSV"),
        ("prompt\n\u200b\n", "holds no prompts"),
        ("prompt\n" + "a" * 1_100_000 + "\n", "row 1: a cell has more than 1048576 characters"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xfe\x00prompt", "no UTF-8"),
        ("prompt\ncaf\u00e9".encode("latin-1"), "no UTF-8 text .*save it as CSV UTF-8"),
        (b"prompt\na\0b", "zero bytes"),
        (b"PK\x03\x04 book.xlsx", "a spreadsheet or archive; save it as CSV"),
        (b"PAR1 cut", "no intact parquet"),
        (b"<!DOCTYPE html><html>404</html>", "it is a web page, not the file"),
        (b"<html><body>404</body></html>", "it is a web page, not the file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "a pointer of git-lfs, not the file"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "bits.csv").write_bytes(data)
    with pytest.raises(PromptError, match=words):
        read_prompts(tmp_path / "bits.csv")
    with pytest.raises(PromptError, match="no prompt file"):
        read_prompts(tmp_path / "none.csv")
    with pytest.raises(PromptError, match="it is a folder"):
        read_prompts(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_spreadsheets_save_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "p.csv").write_bytes("prompt,seed\nein Kätzchen 🦊,3\n".encode(encoding))
    assert read_prompts(tmp_path / "p.csv")["prompt"].tolist() == ["ein Kätzchen 🦊"]


def test_a_parquet_file_is_a_table(tmp_path: Path) -> None:
    table = read_prompts_of(tmp_path)
    table.to_parquet(tmp_path / "p.parquet")
    assert read_prompts(tmp_path / "p.parquet").equals(table)


def read_prompts_of(folder: Path):
    (folder / "p.csv").write_text("case_number,prompt,seed,class\n3,a cat,18446744073709551615,cat\n5,a dog,7,\n")
    return read_prompts(folder / "p.csv")


def test_a_row_without_a_prompt_moves_no_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = read(tmp_path, ",prompt,sd_seed,sd_guidance_scale\n0,a cat,1,7\n1,,2,7\n2,a dog,3,7\n")
    assert rows == [[0, "a cat", 1, "", 7.0], [2, "a dog", 3, "", 7.0]]
    assert "prompts.csv: 1 row without a prompt, passed over" in caplog.text
    for nothing in ("", "NaN", "nan"):  # as pandas writes it
        assert [row[0] for row in read(tmp_path, f"prompt,seed\na,1\n{nothing},2\nb,3\n")] == [0, 2]


def test_partly_empty_columns_are_filled_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = read(tmp_path, "case_number,prompt,seed,guidance_scale\n4,a,,\n5,b,9,7\n6,c,nan,None\n")
    assert [row[2] for row in rows] == [4, 9, 6]
    assert rows[1][4] == 7
    assert rows[0][4] != rows[0][4]
    assert "2 rows without a seed" in caplog.text
    assert "2 rows without a guidance scale" in caplog.text
    caplog.clear()
    read(tmp_path, "case_number,prompt,evaluation_seed,class,evaluation_guidance\n0,a,0,,\n")
    assert not caplog.text  # what scapre generate writes is no surprise


def test_commas_that_nobody_quoted_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, "prompt,guidance\na ship,7,5\n")[0][1] == "a ship,7"
    assert "rows with ',' that nobody quoted, taken as part of prompt: 1" in caplog.text


def test_columns_that_are_not_used_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, "prompt,negative_prompt,width\na,blurry,512\n")
    assert "columns that are not used: negative_prompt, width" in caplog.text


def test_several_attacks_of_one_case_are_numbered_by_row(tmp_path: Path) -> None:
    text = "case_number,prompt,seed\n3,a,1\n3,b,1\n"
    with pytest.raises(PromptError, match="--by-row"):
        read(tmp_path, text)
    assert [row[:3] for row in read(tmp_path, text, by_row=True)] == [[0, "a", 1], [1, "b", 1]]


def test_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- prompt: a cat\n  seed: 1\n")
    with pytest.raises(PromptError, match="it is YAML; save it as CSV, JSON, or one a line"):
        read_prompts(tmp_path / "p.yaml")


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("prompt\na cat\n"))
    writer.start()
    assert read_prompts(pipe)["prompt"].tolist() == ["a cat"]
    writer.join()


@pytest.mark.slow
@repeated(2000)
@given(files())
def test_any_bytes_give_a_table_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(data)
    try:
        table = read_prompts(file)
    except PromptError:
        return
    assert len(table)
    assert table["case_number"].is_unique
    assert table["case_number"].min() >= 0
    assert table["evaluation_seed"].between(0, 2**64 - 1).all()
    assert (table["prompt"].str.strip() != "").all()
