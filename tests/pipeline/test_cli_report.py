"""`millrace report`: which run it takes, what it prints, what it says where there is none."""

import json
import webbrowser
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.runners import reporting


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of one task and one of another, and a maker of reports that writes nothing."""
    for task, run in (("tips", "20260101T000000"), ("tips", "20260102T000000"), ("fare", "20260101T120000")):
        folder = tmp_path / task / "runs" / run
        folder.mkdir(parents=True)
        record = dict.fromkeys(("outcome", "exit_code", "seconds", "nodes", "gates", "pushed", "config"))
        (folder / "run.json").write_text(json.dumps({**record, "run_id": run, "task": task, "started": run}))
    made = lambda folder, seconds: folder.parents[1] / "reports" / folder.name / "index.html"  # noqa: E731
    monkeypatch.setattr(reporting, "make", made)
    return tmp_path


def millrace(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["millrace", "report", *words])
    return cli.guarded(cli.app)


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ((), "tips/reports/20260102T000000/index.html"),
        (("--task", "fare"), "fare/reports/20260101T120000/index.html"),
        (("20260101T000000",), "tips/reports/20260101T000000/index.html"),
    ],
)
def test_it_prints_the_path_of_the_page(
    words: tuple[str, ...], page: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert millrace(*words, "--root", str(root), monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.strip() == str(root / page)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("20260101T000001",), "no run '20260101T000001' in"),
        (("20260101T000001",), "Did you mean '20260101T000000'?"),
        (("20260101T000001",), "Known: 20260101T000000, 20260101T120000, 20260102T000000."),
        (("--task", "tipps"), "expected a run of 'tipps' in"),
        (("--task", "tipps"), "Tasks with runs there: fare, tips."),
    ],
)
def test_a_run_that_is_not_there_ends_with_2_and_those_that_are(
    words: tuple[str, ...], told: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert millrace(*words, "--root", str(root), monkeypatch=monkeypatch) == 2
    assert told in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("opens", [True, False])
def test_it_opens_the_page_or_says_that_there_is_no_browser(
    opens: bool, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def open_(address: str) -> bool:
        asked.append(address)
        return opens

    monkeypatch.setattr(webbrowser, "open", open_)
    assert millrace("--open", "--json", "--root", str(root), monkeypatch=monkeypatch) == 0
    printed: Any = capsys.readouterr()
    page = root / "tips" / "reports" / "20260102T000000" / "index.html"
    assert asked == [page.as_uri()]
    assert json.loads(printed.out)["report"] == str(page)
    assert ("There is no browser on this machine" in printed.err) is not opens
