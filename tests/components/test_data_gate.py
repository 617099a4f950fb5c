"""The data gate: a sentence for each cause, waivers, and a verdict that names what passed."""

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

import components
from components.data_checks.findings import Finding, Report, finding, to_json
from components.data_gate import verdict
from components.data_gate.executor import Executor, sentence, waived, with_root
from pipeline.checks import Checks, Waiver, waivers_today
from pipeline.errors import DataBlocked, ExitCode

DRIFT = finding("drift", "as before", "0.4", feature="fare", split="train", total=20)
BAD = finding("bad_rows", "text", "a number", rows=3, total=20, next="mend them")
ODD = dataclasses.replace(finding("volume", "more", "less"), severity="warn")
TODAY = datetime.date(2026, 5, 14)
WAIVER = Waiver("drift", reason="Fares went up.", until="2026-05-14", feature="fare")


@pytest.fixture
def gate(tmp_path: Path) -> Any:
    """A function: findings and the waivers' parameter, to the verdict of a run of the executor."""

    def run(findings: tuple[Finding, ...], waivers: str = "") -> Any:
        made: dict[str, Any] = {
            "findings": components.Findings(),
            "quarantine": components.Quarantine(),
            "statistics": standard_artifacts.ExampleStatistics(),
            "examples": standard_artifacts.Examples(),
        }
        for number, (key, artifact) in enumerate(made.items(), 1):
            artifact.uri, artifact.id = str(tmp_path / key), number
        made["examples"].set_string_custom_property("input_fingerprint", "size 7")
        made["examples"].span = 5
        (tmp_path / "findings").mkdir()
        (tmp_path / "findings" / "findings.json").write_text(to_json(Report(findings), {}))
        output = components.DataVerdict()
        output.uri = str(tmp_path / "verdict")
        properties = {"task": "tips", "waivers_today": waivers, "root": "my runs", "code": ""}
        Executor().Do({key: [artifact] for key, artifact in made.items()}, {"verdict": [output]}, properties)
        return output

    return run


def test_an_open_gate_names_what_it_let_through(gate: Any, tmp_path: Path) -> None:
    output = gate((ODD,))
    assert verdict.read(output) == verdict.Passed(statistics=3, span=5, fingerprint="size 7")
    assert output.get_string_custom_property("examples_uri") == str(tmp_path / "examples")
    stored = json.loads((tmp_path / "verdict" / "verdict.json").read_text())
    assert [entry["check"] for entry in stored["findings"]] == ["volume"]


def test_a_closed_gate_names_task_and_every_cause(gate: Any, tmp_path: Path) -> None:
    with pytest.raises(DataBlocked) as caught:
        gate((BAD, DRIFT, ODD))
    assert caught.value.exit_code == ExitCode.DATA_BLOCKED
    until = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=14)
    assert str(caught.value).splitlines() == [
        "The data gate of task 'tips' stopped the run:",
        "  - the data (3 of 20 rows): expected text. Received: a number. [bad_rows] "
        f"The rows: {tmp_path}/quarantine/rows.csv. Next: mend them",
        "  - fare (split 'train', 20 rows): expected as before. Received: 0.4. [drift] Next: if the data is right, in "
        f'the task: checks=Checks(waivers=(Waiver("drift", feature="fare", reason="…", until="{until}"),))',
    ]
    assert not (tmp_path / "verdict").exists()


def test_at_most_five_causes_are_shown(gate: Any) -> None:
    with pytest.raises(DataBlocked, match=r"  - and 2 more: /.*/findings/findings\.json$"):
        gate((DRIFT,) * 7)


def test_a_waived_finding_is_a_warning_with_its_reason(gate: Any, tmp_path: Path) -> None:
    lasting = dataclasses.replace(WAIVER, until="9999-12-31")
    gate((DRIFT,), waivers_today(Checks(waivers=(lasting,))))
    (stored,) = json.loads((tmp_path / "verdict" / "verdict.json").read_text())["findings"]
    assert stored["severity"] == "warn"
    assert stored["waiver"] == {"reason": "Fares went up.", "until": "9999-12-31"}


def test_an_expired_waiver_no_longer_holds_and_is_told(gate: Any) -> None:
    old = dataclasses.replace(WAIVER, until="2020-01-31")
    with pytest.raises(DataBlocked, match=r"\[drift\] Its waiver ended on 2020-01-31 \(Fares went up\.\)\. Next: "):
        gate((DRIFT,), waivers_today(Checks(waivers=(old,))))


def test_a_waiver_that_ended_after_the_pipeline_was_built(gate: Any) -> None:
    old = dataclasses.replace(WAIVER, until="2020-01-31")
    built = waivers_today(Checks(waivers=(old,)), datetime.date(2020, 1, 1))
    with pytest.raises(DataBlocked, match="Its waiver ended on 2020-01-31"):
        gate((DRIFT,), built)


def test_waivers_cover_failing_findings_of_their_check_and_column() -> None:
    other = dataclasses.replace(DRIFT, feature="tips")
    lost = finding("accounting", "all", "some")
    judged = waived([DRIFT, other, ODD, lost], [WAIVER])
    assert [(f.severity, f.waiver is not None) for f in judged] == [
        ("warn", True),
        ("fail", False),
        ("warn", False),
        ("fail", False),
    ]


def test_the_sentence_of_a_waived_finding() -> None:
    (judged,) = waived([DRIFT], [WAIVER])
    assert sentence(judged, "/quarantine", [], TODAY) == (
        "fare (split 'train', 20 rows): expected as before. Received: 0.4. [drift] "
        "Waived until 2026-05-14: Fares went up."
    )


def test_commands_are_about_the_run_s_own_root() -> None:
    text = "`millrace schema propose --task tips`, then `millrace schema accept --task tips`"
    assert with_root(text, "my runs") == (
        "`millrace schema propose --task tips --root 'my runs'`, then `millrace schema accept --task tips --root 'my runs'`"
    )
    assert with_root(text, "") == text
