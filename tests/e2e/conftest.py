"""Whole runs, in processes of their own, as a user starts them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, Open, browser, open_page, wrong_figures
from e2e_support import Run, run
from flink_cluster import flink_cluster

from pipeline.sources import bundled_taxi_trips

__all__ = ["browser", "flink_cluster", "open_page"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is end to end."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs that share a cache."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def first(root: Path) -> Run:
    """The taxi task, from nothing."""
    return run("--root", str(root))


@pytest.fixture(scope="session")
def taxi_rows() -> list[list[str]]:
    """The header and 3,000 rows of the bundled trips."""
    with (Path(bundled_taxi_trips()) / "data.csv").open(newline="") as stream:
        return list(csv.reader(stream))[:3001]


@pytest.fixture
def check_report(open_page: Open) -> Callable[[Run], None]:
    """A function: the page of a run is silent, offline, accessible and as report.json says, on a desk and in a hand."""

    def check(done: Run) -> None:
        page = Path(done.record["report"])
        for width, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
            opened = open_page(page, width, scheme)
            assert opened.faults() == {}
        assert len(opened.figures()) >= 10
        assert wrong_figures(opened, page.with_name("report.json")) == []
        assert json.loads(page.with_name("report.json").read_text("utf-8"))["problems"] == []

    return check


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[list[list[str]]], str]:
    """A function that writes rows to a CSV file and gives its path."""

    def write(rows: list[list[str]]) -> str:
        path = tmp_path / "data.csv"
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
        return str(path)

    return write
