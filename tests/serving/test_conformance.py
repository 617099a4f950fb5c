"""The conformance tables of docs/serving.md and the tests agree: each row names tests that exist, and none is left out."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "serving.md"
FRONTS = ("rest/test_app.py", "rest/test_openapi.py", "rest/test_protocol.py", "test_grpc_server.py")
TEST = re.compile(r"`([\w/]+\.py(?:::\w+)+)`")


def rows() -> list[str]:
    """The rows of the tables below the heading Conformance."""
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## Conformance\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [line for line in lines if not re.match(r"\|[\s|-]+$", line) and line != "| what | test |"]


def defined(file: Path) -> set[str]:
    """The tests of a file, as `path.py::Class::test`."""
    name = file.relative_to(HERE).as_posix()
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{name}::{node.name}" if isinstance(node, ast.ClassDef) else name
        found |= {
            f"{prefix}::{one.name}"
            for one in inside
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
        }
    return found


def all_tests() -> set[str]:
    return set().union(*(defined(file) for file in HERE.rglob("test_*.py")))


@pytest.mark.parametrize("row", rows(), ids=lambda row: re.sub(r"\W+", "-", row.split("|")[1]).strip("-"))
def test_each_row_names_a_test_that_exists(row):
    named = TEST.findall(row)
    assert named, f"no test is named in {row}"
    assert set(named) <= all_tests()


@pytest.mark.parametrize("front", [name for name in FRONTS if (HERE / name).exists()])
def test_each_test_of_a_front_is_in_a_row(front):
    named = {test for row in rows() for test in TEST.findall(row)}
    assert defined(HERE / front) - named == set()


def test_the_table_is_there():
    assert len(rows()) > 50
