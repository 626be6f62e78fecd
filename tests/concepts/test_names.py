from __future__ import annotations

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapre.concepts.lists import read_concepts
from scapre.concepts.names import ConceptError, check_concepts, known, same_name, split_names
from strange import files, repeated


def read(folder: Path, text: str, name: str = "list.csv") -> list[str]:
    (folder / name).write_text(text)
    return read_concepts(folder / name)["name"].tolist()


def test_one_string_is_one_name() -> None:
    assert check_concepts("dog", " cat ") == (["dog"], ["cat"])
    for several in ("dog, cat", "dog；cat"):
        with pytest.raises(ConceptError, match=r"is one string, .*; give a list"):
            check_concepts(several)


def test_names_that_nobody_sees_are_empty() -> None:
    for name in ("\u200b", "\ufeff", "\u00a0", "\x07"):
        with pytest.raises(ConceptError, match="holds an empty name"):
            check_concepts(["dog", name])
    assert check_concepts(["🦊", "\u200bdog"])[0] == ["🦊", "\u200bdog"]


@pytest.mark.parametrize(
    "given", [("dog", "cat"), pd.Series(["dog", "cat"]), {"dog": 1, "cat": 2}, iter(["dog", "cat"])]
)
def test_any_list_of_names_will_do(given: object) -> None:
    assert check_concepts(given)[0] == ["dog", "cat"]
    assert check_concepts({"dog", "cat"})[0] == ["cat", "dog"]  # a set has no order of its own


def test_a_table_is_no_list_of_names() -> None:
    table = read_concepts("imagenette-like")
    with pytest.raises(ConceptError, match=r"targets is a table; give its column of names, as in table\['name'\]"):
        check_concepts(table)
    assert len(check_concepts(table["name"])[0]) == len(table)


@pytest.mark.parametrize("given", [None, b"dog", 7, [1984], [None], [float("nan")], ["dog", ["cat"]]])
def test_what_is_no_text_is_no_name(given: object) -> None:
    with pytest.raises(ConceptError, match=r"give a list of names|no text"):
        check_concepts(given)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "Dog"),
        ("golden retriever", "golden  retriever"),
        ("golden retriever", " golden\u00a0retriever\n"),
        ("caf\u00e9", "cafe\u0301"),
        ("ÉCOLE", "école"),
    ],
)
def test_what_the_tokenizer_cannot_tell_apart_is_one_name(one: str, other: str) -> None:
    assert same_name(one) == same_name(other)
    with pytest.raises(ConceptError, match="more than once"):
        check_concepts([one, other])
    with pytest.raises(ConceptError, match="both target and retained"):
        check_concepts([one], [other])
    assert check_concepts(["x"], [one, other])[1] == check_concepts(["x"], [one])[1]
    assert known([other], ["x", one]) == [1]


def test_names_are_split_as_people_type_them() -> None:
    for text in ("dog; lemon", "dog,lemon", "dog\nlemon", " dog ,, lemon,", "dog | lemon", "dog，lemon", "dog、lemon"):
        assert split_names(text) == ["dog", "lemon"]
    for text in ('"Paris, France"; king\'s crown', "“Paris, France”, king's crown"):
        assert split_names(text) == ["Paris, France", "king's crown"]
    with pytest.raises(ConceptError, match="quote without its end"):
        split_names('dog, "Paris')
    for text in ('["dog", "cat"]', "['dog']", "'dog', 'cat'", '{"dog", "cat"}'):
        with pytest.raises(ConceptError, match="is a list as programs write it; write names as in"):
            split_names(text)
    assert split_names("'90s cartoon, dogs' home, cat (big)") == ["'90s cartoon", "dogs' home", "cat (big)"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name\n1984\n007\ntrue\nNA\nnull\n", "list.csv"),
        ("id,concept\n1,1984\n2,007\n3,true\n4,NA\n5,null\n", "list.csv"),
        ("Artist;year\n1984;\n007;\ntrue;\nNA;\nnull;\n", "list.csv"),
        ("1984\n007\n\ntrue\nNA\nnull", "list.txt"),
        ('{"class": "1984"}\n{"class": "007"}\n{"class": true}\n{"class": "NA"}\n{"class": "null"}\n', "list.jsonl"),
    ],
)
def test_public_lists_are_read_and_numbers_stay_names(tmp_path: Path, text: str, name: str) -> None:
    assert read(tmp_path, text, name) == ["1984", "007", "true", "NA", "null"]


def test_notes_bullets_and_other_columns_of_a_list_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(tmp_path, "# animals\n- dog\n- cat\n", "list.txt") == ["dog", "cat"]
    assert "1 lines that begin with '#' are passed over" in caplog.text
    assert "signs in front of the lines (-) are left out" in caplog.text
    assert read(tmp_path, "1. dog\n2. 3D glasses\n", "list.txt") == ["dog", "3D glasses"]
    assert read(tmp_path, "- dog\ncat\n", "list.txt") == ["- dog", "cat"]
    assert read(tmp_path, '{"targets": ["dog"], "retain": ["cat"]}', "list.json") == ["dog"]
    assert "only the names are used, not retain" in caplog.text


def test_repeated_and_missing_names_of_a_list_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read(tmp_path, "id,concept\n1,dog\n2,Dog \n3,\n4,cat\n") == ["dog", "cat"]
    assert "1 rows without a name" in caplog.text
    assert "1 repeated names are taken once" in caplog.text
    caplog.clear()
    assert check_concepts(["dog"], ["cat", "Cat", "fox"])[1] == ["cat", "fox"]
    assert "retained: 1 repeated names" in caplog.text


@pytest.mark.parametrize(
    ("text", "words", "name"),
    [
        ("dog\ncat\n", "no column is named 'name'", "list.csv"),
        ("dog, cat\n", "the line 'dog, cat' holds ','", "list.txt"),
        ("fox\ndog; cat\n", "the line 'dog; cat' holds ';'", "list.txt"),
        ("- dog\n- cat\n", "it is YAML", "list.yaml"),
        ("prompt\na cat\n", "no column is named 'name'", "list.txt"),
        ("name\n", "at least one row", "list.csv"),
        ("", "at least one row", "list.txt"),
        ("name,kind\ndog,big, brown\n", "3 cells under 2 columns", "list.csv"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path: Path, text: str, words: str, name: str) -> None:
    with pytest.raises(ConceptError, match=words):
        read(tmp_path, text, name)


@pytest.mark.slow
@repeated(2000)
@given(files(), st.sampled_from([".csv", ".txt", ".jsonl"]))
def test_any_bytes_give_names_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    file = tmp_path_factory.getbasetemp() / f"any{suffix}"
    file.write_bytes(data)
    try:
        names = read_concepts(file)["name"].tolist()
    except ConceptError:
        return
    assert check_concepts(names)[0] == names


@repeated(500)
@given(st.text(max_size=30))
def test_a_name_is_the_same_after_any_tidying(name: str) -> None:
    for other in (name.upper().lower(), unicodedata.normalize("NFD", name), f" {name}\t", name.replace(" ", "  ")):
        if name.upper().lower() == name.lower():
            assert same_name(other) == same_name(name)
    assert same_name(same_name(name)) == same_name(name)
