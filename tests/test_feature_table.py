"""The table of features in docs/kubeflow_features.md and the tests agree: each claim names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "kubeflow_features.md"
COLUMNS = ("feature", "local", "KFP", "Vertex AI")
WORDS = ("works", "refused", "not run", "not there")
CLAIMS = ("works", "refused")
TEST = re.compile(r"`([\w/]+\.py::test_\w+)`")
PATH = re.compile(r"`([^`]*\.py[^`]*)`")


def split(line: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def rows(text: str) -> list[list[str]]:
    """The rows of all tables that have the columns of the features."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
        elif tuple(split(line)) == COLUMNS:
            inside = True
        elif inside and not re.fullmatch(r"[|\s-]+", line):
            found.append(split(line))
    return found


@cache
def defined(path: str) -> frozenset[str]:
    """The names of a file's test functions; none where there is no such file."""
    file = HERE / path
    if not file.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def wrong(row: list[str]) -> list[str]:
    """What is wrong with a row."""
    if len(row) != len(COLUMNS):
        return [f"{len(row)} cells"]
    problems = [] if row[0] else ["no name"]
    for column, cell in zip(COLUMNS[1:], row[1:], strict=True):
        word, colon, rest = cell.partition(":")
        named = TEST.findall(cell)
        if word not in WORDS or not colon or not rest.strip():
            problems.append(f"{column}: {cell!r} does not begin with one of {WORDS}, a colon and more")
        if word in CLAIMS and not named:
            problems.append(f"{column}: no test is named")
        problems += [
            f"{column}: {text} is no name of a test"
            for text in PATH.findall(cell)
            if text not in named and "::" in text
        ]
        for test in named:
            path, _, name = test.partition("::")
            if name not in defined(path):
                problems.append(f"{column}: there is no test {test}")
    return problems


TABLE = rows(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: re.sub(r"\W+", "-", row[0]).strip("-"))
def test_each_claim_names_a_test_that_exists(row: list[str]) -> None:
    assert wrong(row) == []


def test_the_table_is_there_and_no_feature_is_in_it_twice() -> None:
    names = [row[0] for row in TABLE]
    assert len(names) > 60
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            "| a | works: `e2e/test_taxi.py::test_nothing` | not run: why | not run: why |",
            "there is no test e2e/test_taxi",
        ),
        (
            "| a | works: `e2e/test_none.py::test_none` | not run: why | not run: why |",
            "there is no test e2e/test_none",
        ),
        ("| a | works: surely | not run: why | not run: why |", "local: no test is named"),
        ("| a | not run: why |  | not run: why |", "KFP: '' does not begin"),
        ("| a | not run: why | not run: | not run: why |", "KFP: 'not run:' does not begin"),
        ("| a | not run: why | not run: why | perhaps |", "Vertex AI: 'perhaps' does not begin"),
        ("| a | not run: why | refused: why | not run: why |", "KFP: no test is named"),
        ("| a | not run: `e2e/test_taxi.py::Test::x` | not run: a | not run: a |", "is no name of a test"),
        ("|  | not run: why | not run: why | not run: why |", "no name"),
        ("| a | not run: why | not run: why |", "3 cells"),
    ],
)
def test_what_is_wrong_is_found(row: str, problem: str) -> None:
    assert problem in "\n".join(wrong(split(row)))
