"""Night after night: a span a day, a window of them, a day of poisoned data, a new category that is reviewed and let in."""

import csv
import shutil
from pathlib import Path

import pytest
from e2e_support import Run, copy_project, millrace, run

Rows = list[list[str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, whose schema may be changed."""
    return copy_project(tmp_path_factory.mktemp("project"))


def _day(project: Path, day: int, rows: Rows) -> None:
    folder = project / "days" / f"2026-11-{day:02d}"
    folder.mkdir(parents=True)
    with (folder / "trips.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def _night(project: Path, *flags: str) -> Run:
    pattern = str(project / "days" / "{YYYY}-{MM}-{DD}" / "trips.csv")
    return run("--root", "runs", "--data", pattern, "--window", "2", "--to", "DataGate", *flags, project=project)


def _schema(project: Path, word: str) -> str:
    done = millrace("schema", word, "--task", "taxi_tips", "--root", "runs", project=project)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nights(project: Path, taxi_rows: Rows) -> None:
    header, rows = taxi_rows[0], taxi_rows[1:]
    _day(project, 17, [header, *rows[0::3]])
    _day(project, 18, [header, *rows[1::3]])
    clean = _night(project)
    assert (clean.code, clean.record["outcome"]) == (0, "partial"), clean.text
    assert clean.record["rows"]["in"] == 2000
    assert clean.record["config"]["window"] == 2

    payment = header.index("payment_type")
    poisoned = [list(row) for row in rows[2::3]]
    for row in poisoned:
        row[payment] = row[payment].replace("Credit Card", "Card")
    _day(project, 19, [header, *poisoned])
    stopped = _night(project)
    assert (stopped.code, stopped.record["outcome"]) == (10, "data_blocked"), stopped.text
    assert "Received: 'Card'" in stopped.record["reason"] or "'Card' (trips.csv" in stopped.record["reason"]
    assert stopped.record["nodes"]["Trainer"]["state"] == "skipped"

    proposed = _schema(project, "propose")
    assert "may be 'Card'" in proposed
    accepted = _schema(project, "accept")
    assert '+  value: "Card"' in accepted
    again = _night(project)
    assert again.record["rows"]["quarantined"] == 0
    assert "bad_rows" not in str(again.record["findings"])

    # The rows fit the schema now; that a category was renamed is drift all the same.
    assert again.code == 10
    assert "payment_type" in again.record["reason"]
    assert "[drift]" in again.record["reason"]

    gap = _night(project, "--span", "2026-11-18")
    assert gap.code == 0, gap.text
    shutil.rmtree(project / "days" / "2026-11-18")
    missing = _night(project)
    assert missing.code == 10
    assert "[span_gap]" in missing.record["reason"]
    assert "2026-11-18" in missing.record["reason"]
    none = _night(project, "--span", "2026-11-30")
    assert none.code == 2
    assert "span 2026-11-30. Spans found: 2026-11-17, 2026-11-19" in none.text.replace("\n", " ")
