"""The pages of whole runs, pushed and stopped, in a real browser: silent, offline, accessible, and as report.json says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, Open, wrong_figures
from e2e_support import Run, run


@pytest.fixture(scope="module")
def blocked(root: Path, tmp_path_factory: pytest.TempPathFactory, taxi_rows: list[list[str]]) -> Run:
    """The taxi task on rows of which many are hostile text."""
    column = taxi_rows[0].index("payment_type")
    spoilt = [
        taxi_rows[0],
        *([*row[:column], "<script>alert(1)</script>", *row[column + 1 :]] for row in taxi_rows[1:]),
    ]
    file = tmp_path_factory.mktemp("spoilt") / "data.csv"
    file.write_text("\n".join(",".join(row) for row in spoilt), "utf-8")
    return run("--root", str(root), "--data", str(file))


@pytest.fixture(params=["first", "blocked"])
def page(request: pytest.FixtureRequest) -> Path:
    """index.html of a run."""
    return Path(request.getfixturevalue(request.param).record["report"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_page_is_silent_offline_accessible_and_not_too_wide(
    page: Path, open_page: Open, scheme: str, width: int
) -> None:
    assert open_page(page, width, scheme).faults() == {}


def test_every_figure_is_that_of_report_json(page: Path, open_page: Open) -> None:
    opened = open_page(page)
    assert len(opened.figures()) >= 40
    assert wrong_figures(opened, page.with_name("report.json")) == []
    assert json.loads(page.with_name("report.json").read_text("utf-8"))["problems"] == []
    assert page.stat().st_size < 5e6


def test_a_pushed_run_says_so_and_its_figures_are_those_of_the_record(first: Run, open_page: Open) -> None:
    opened = open_page(Path(first.record["report"]))
    assert opened.page.inner_text(".answer p").startswith(
        f"Pushed as version {first.record['pushed']['version']} because"
    )
    shown = dict(opened.figures())
    assert shown["overview.metrics.0.value"] == str(first.record["metrics"]["auc"])
    assert shown["overview.rows.in"] == "15002"
    assert opened.page.locator("main > section > h2").count() == 5


def test_a_stopped_run_says_why_and_what_to_do(blocked: Run, open_page: Open) -> None:
    assert blocked.code == 10
    opened = open_page(Path(blocked.record["report"]))
    assert "the data gate stopped the run" in opened.page.inner_text(".answer p")
    assert "<script>alert(1)</script>" in opened.page.inner_text(".answer")
    assert opened.page.inner_text("#next-command").startswith("millrace run --task taxi_tips --root ")
    assert "There is nothing for this part." in opened.page.inner_text("#model")


def test_no_table_is_cut_off_on_paper(page: Path, open_page: Open) -> None:
    opened = open_page(page, 760)
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.too_wide() <= 0


@pytest.mark.parametrize("task", ["digits", "movie_reviews"])
def test_pages_of_pictures_and_texts(task: str, tmp_path: Path, check_report: Callable[[Run], None]) -> None:
    done = run("--root", str(tmp_path), "--task", task)
    assert done.code in (0, 11), done.text
    check_report(done)


def test_the_page_of_a_run_that_failed(tmp_path: Path, open_page: Open, check_report: Callable[[Run], None]) -> None:
    done = run("--root", str(tmp_path), "--task", "digits", "--set", "training.optimizer.learning_rate=1e30")
    assert (done.code, done.record["outcome"]) == (1, "failed"), done.text
    check_report(done)
    assert "Trainer" in open_page(Path(done.record["report"])).page.inner_text(".answer")
