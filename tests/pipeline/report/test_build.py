"""report.json and index.html: a part that fails leaves the others alone, and nothing is written by halves."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import record, run_of
from markupsafe import Markup

from pipeline.errors import MillraceError
from pipeline.report import build, index, sources, written
from pipeline.report.sections import overview
from pipeline.task import Task


class Broken:
    """A section that fails where the test says."""

    NAME = "slices"
    TITLE = "Slices"

    def __init__(self, collect: Any = None, charts: Any = None) -> None:
        self.results = (collect, charts)

    def _give(self, result: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    def collect(self, run: sources.Run) -> Any:
        return self._give(self.results[0])

    def charts(self, part: Mapping[str, Any]) -> dict[str, Markup]:
        return self._give(self.results[1])


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (Broken(KeyError("<tips>")), "KeyError: '<tips>'"),
        (Broken(MillraceError("evidence.json: expected metrics")), "evidence.json: expected metrics"),
        (Broken({"x": object()}), "TypeError: report: expected JSON values. Received: object"),
        (Broken({"x": 1}, ValueError("no chart")), "ValueError: no chart"),
        (Broken({"x": 1}, {}), "UndefinedError"),
    ],
)
def test_a_part_that_fails_says_why_in_its_place(section: Broken, reason: str, tmp_path: Path, tiny: Task) -> None:
    run = run_of(tmp_path, record(), tiny)
    report = build.collect(run, (overview, section))
    html = build.draw(report, (overview, section))
    (problem,) = report["problems"]
    assert (problem["section"], problem["reason"].startswith(reason)) == ("slices", True)
    assert f'This part could not be made: <bdi class="name">{Markup.escape(problem["reason"])}' in html
    assert "Pushed as version 17" in html


def test_a_part_that_is_not_there_is_null(tmp_path: Path, tiny: Task) -> None:
    report = build.collect(run_of(tmp_path, record(), tiny), (overview, Broken(None)))
    assert report["slices"] is None
    assert report["problems"] == []
    assert "This run has nothing for this part." in build.draw(report, (overview, Broken(None)))


def test_both_files_are_written_and_the_index_is_brought_up_to_date(
    tmp_path: Path, tiny: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, record(), tiny)
    (run.folder / "run.json").write_text(json.dumps(run.record))
    asked: list[Path] = []
    monkeypatch.setattr(sources, "open_run", lambda folder: run)
    monkeypatch.setattr(index, "write", asked.append)
    monkeypatch.setattr(build, "sections_of", lambda record: (overview,))
    page = build.report_of(run.folder)
    assert page == tmp_path / "tips" / "reports" / "20260101T000000" / "index.html"
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html", "report.json"]
    report = json.loads(page.with_name("report.json").read_text())
    assert (report["version"], report["task"], report["run_id"]) == (1, "tips", "20260101T000000")
    assert asked == [tmp_path / "tips"]
    monkeypatch.setattr(index, "write", lambda home: 1 / 0)
    assert build.report_of(run.folder) == page


def test_the_sections_have_names_titles_and_an_order() -> None:
    whole, empty = build.sections_of({"nodes": {"Trainer": {}}}), build.sections_of({"nodes": {}})
    assert [section.NAME for section in whole] == ["overview", "data", "model", "slices", "lineage"]
    assert [(section.NAME, section.TITLE) for section in whole] == [(section.NAME, section.TITLE) for section in empty]


def test_a_run_that_never_began_has_a_page_without_tfx(tmp_path: Path) -> None:
    run = run_of(
        tmp_path, record("data_blocked", task="taxi_tips", nodes={}, metrics={}, gates=[], rows=None, reason="x")
    )
    (run.folder / "run.json").write_text(json.dumps(run.record))
    script = (
        "import sys, pathlib; from pipeline.report import build; print(build.report_of(pathlib.Path(sys.argv[1])));"
        "print([name for name in ('tfx', 'tensorflow', 'tensorflow_data_validation') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(run.folder)], capture_output=True, text=True, check=True)
    page, imported = done.stdout.splitlines()
    assert imported == "[]"
    report = json.loads(Path(page).with_name("report.json").read_text())
    assert (report["problems"], report["data"], report["model"]) == ([], None, None)


def test_values_are_plain() -> None:
    value = {"a": (math.nan, math.inf, 0.5), "b": np.float32(0.5), "c": np.array([1, 2]), 3: "\ud800", "d": True}
    assert written.plain(value) == {"a": [None, None, 0.5], "b": 0.5, "c": [1, 2], "3": "\\ud800", "d": True}
    with pytest.raises(TypeError, match="Received: set"):
        written.plain({1})


def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    written.write(path, "old")
    with pytest.raises(UnicodeEncodeError):
        written.write(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
