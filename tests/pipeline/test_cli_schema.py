"""`millrace schema`: what is printed, what is written, and that no mistake gives a traceback or a half-written file."""

import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline import cli, cli_schema, schema, tasks
from pipeline.checks import Checks, Limits
from pipeline.errors import UsageError
from pipeline.expressions import Column
from pipeline.features import Categorical, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.ingest.quarantine import SCHEMA
from pipeline.labels import Binary
from pipeline.models.linear import Linear
from pipeline.runners import records
from pipeline.sources import Csv
from pipeline.task import Task

TEXT = """\
# Trips, reviewed.

feature {
  name: "fare"
  type: FLOAT
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
}
feature {
  name: "hour"
  type: INT
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
  int_domain {
    min: 0
    max: 20
  }
}
feature {
  name: "kind"
  type: BYTES
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
  domain: "kind"
}
feature {
  name: "tips"
  type: FLOAT
  value_count { min: 1 max: 1 }
  presence { min_fraction: 1.0 min_count: 1 }
  not_in_environment: "SERVING"
}
string_domain {
  name: "kind"
  value: "Card"
  value: "Cash"
}
default_environment: "TRAINING"
default_environment: "SERVING"
"""
RUN = "20260102T000000"
ROW = {"fare": "5.5", "hour": "7", "kind": "Cash", "tips": "0"}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with schemas/trips/schema.pbtxt and a task of that name."""
    task = Task(
        name="trips",
        question="Will a trip be tipped?",
        source=Csv(str(tmp_path / "rows.csv")),
        label=Binary.where("tips", greater_than=0.2 * Column("fare")),
        features=(Numeric("fare"), Categorical("hour", size=24), Vocabulary("kind")),
        model=Linear(),
        evaluation=Evaluation(metrics=("auc",), gates=(Gate("auc", at_least=0.5),)),
        checks=Checks(drift=Limits(numbers=0.2, categories=0.3)),
    )

    def load(name: str, overrides: Sequence[str] = ()) -> Task:
        if name != "trips":
            raise UsageError(f"Unknown task {name!r}. Known: trips.")
        return task

    monkeypatch.setattr(tasks, "load", load)
    monkeypatch.setattr(schema, "SCHEMAS", tmp_path / "schemas")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schemas" / "trips").mkdir(parents=True)
    (tmp_path / "schemas" / "trips" / "schema.pbtxt").write_text(TEXT)
    return tmp_path


@pytest.fixture
def millrace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function: arguments of `millrace schema` to exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["millrace", *arguments])
        code = cli.guarded(cli_schema.app)
        streams = capsys.readouterr()
        assert "Traceback" not in streams.err
        return code, streams.out, streams.err

    return run


def run_of(house: Path, bad: Sequence[Mapping[str, Any]], run: str = RUN, rows: int = 1000, **changes: Any) -> Path:
    """A run that left these rows in quarantine; its folder."""
    folder = house / "runs" / "trips" / "runs" / run
    left = house / "runs" / "trips" / "artifacts" / run
    (left / "statistics" / "Split-train").mkdir(parents=True)
    folder.mkdir(parents=True)
    file = str(house / "rows.csv")
    lines = [
        {"file": file, "line": 2 + at, "column": "kind", "value": "", "rule": "domain", "message": "", "others": 0}
        | {"row": json.dumps({**ROW, **row})}
        for at, row in enumerate(bad)
    ]
    pq.write_table(pa.Table.from_pylist(lines, SCHEMA), left / "rows.parquet")
    (left / "account.json").write_text(json.dumps({"rows": rows, "quarantined": len(bad)}))
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(num_examples=rows - len(bad))
    for name in ROW:
        feature = dataset.features.add()
        feature.path.step.append(name)
        feature.num_stats.common_stats.num_non_missing = rows - len(bad)
    (left / "statistics" / "Split-train" / "FeatureStats.pb").write_bytes(found.SerializeToString())
    record = {
        "run_id": run,
        "task": "trips",
        "outcome": "data_blocked",
        "exit_code": 10,
        "started": f"2026-01-{run[6:8]}T00:00:00+00:00",
        "seconds": 12.3,
        "nodes": {},
        "gates": [],
        "pushed": None,
        "config": {
            "task": "trips",
            "root": str(house / "runs"),
            "data": "/new rows",
            "span": 3,
            "window": 7,
            "serving_log": None,
            "beam_runner": "direct",
            "overrides": ["a.b=1"],
        },
        "artifacts": {"quarantine": str(left), "statistics": str(left / "statistics")},
    }
    records.write(folder, record | changes)
    return folder


def text(house: Path) -> str:
    return (house / "schemas" / "trips" / "schema.pbtxt").read_text()


NEW = [{"kind": "Bitcoin"}] * 5 + [{"kind": "cash"}] * 2 + [{"hour": "24"}] * 3


def test_a_new_category_gets_through_in_three_commands(house: Path, millrace: Any) -> None:
    folder = run_of(house, NEW)
    code, out, _ = millrace("propose", "--task", "trips")
    assert code == 0
    assert out.startswith(
        "trips, run 20260102T000000: 1,000 rows, 10 of them in quarantine. "
        "So that all pass, schemas/trips/schema.pbtxt would have to change:\n"
    )
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "hour at most 24, not 20 3 (0.3 %) 24 at rows.csv:9" in lines
    assert "kind may be 'Bitcoin' 5 (0.5 %) rows.csv:2" in lines
    assert any(line.startswith("kind may be 'cash' 2 (0.2 %) rows.csv:7 differs from 'Cash' by case") for line in lines)
    assert "- max: 20" in lines
    assert "+ max: 24" in lines
    assert '+ value: "Bitcoin"' in lines
    assert '+ value: "cash"' not in lines
    assert lines[-1] == (
        "next millrace schema accept --task trips --run 20260102T000000 "
        "(1 that looks like an error stays out, unless with --doubtful)"
    )
    proposed = (folder / "schema_proposal.pbtxt").read_text()
    assert text(house) == TEXT

    code, out, _ = millrace("accept", "--task", "trips")
    assert code == 0
    assert text(house) == proposed
    assert text(house) == TEXT.replace("max: 20", "max: 24").replace(
        '  value: "Card"', '  value: "Bitcoin"\n  value: "Card"'
    )
    assert "accepted   kind may be 'Bitcoin'" in out
    assert "left out   kind may be 'cash' (differs from 'Cash' by case, blanks or punctuation only)" in out
    assert out.endswith(
        f"next    millrace run --task trips --root {house}/runs --data '/new rows' --span 3 --window 7 "
        "--beam-runner direct --set a.b=1\n"
    )


def test_what_was_accepted_is_not_proposed_again(house: Path, millrace: Any) -> None:
    run_of(house, [{"kind": "Bitcoin"}] * 5)
    millrace("propose", "--task", "trips")
    millrace("accept", "--task", "trips")
    code, out, _ = millrace("propose", "--task", "trips")
    assert code == 0
    assert out == (
        "trips, run 20260102T000000: 1,000 rows, 5 of them in quarantine. Nothing to propose. "
        "The rows fit schemas/trips/schema.pbtxt as it is now.\n"
    )
    code, _, err = millrace("accept", "--task", "trips")
    assert code == 2
    assert err == "error run 20260102T000000 has no proposal. Next: millrace schema propose --task trips\n"


@pytest.mark.parametrize(
    ("flags", "accepted"),
    [
        (["--only", "hour"], ["hour 24"]),
        (["--only", "hour=max"], ["hour 24"]),
        (["--except", "hour=max"], ["kind Bitcoin"]),
        (["--only", "kind"], ["kind Bitcoin"]),
        (["--only", "kind", "--doubtful"], ["kind Bitcoin", "kind cash"]),
        (["--only", "kind=cash", "--doubtful"], ["kind cash"]),
        (["--except", "kind"], ["hour 24"]),
        (["--except", "kind=Bitcoin"], ["hour 24"]),
        (["--doubtful"], ["hour 24", "kind Bitcoin", "kind cash"]),
    ],
)
def test_only_what_is_chosen_is_accepted(house: Path, millrace: Any, flags: list[str], accepted: list[str]) -> None:
    run_of(house, NEW)
    millrace("propose", "--task", "trips")
    code, out, _ = millrace("accept", "--task", "trips", *flags, "--json")
    assert code == 0
    answer = json.loads(out)
    short = {"hour: at most 24, not 20": "hour 24"} | {f"kind: may be '{v}'": f"kind {v}" for v in ("Bitcoin", "cash")}
    assert [short[change] for change in answer["accepted"]] == accepted
    assert sorted(short[change] for change in answer["accepted"] + answer["left"]) == sorted(short.values())
    assert ('"cash"' in text(house)) == ("kind cash" in accepted)
    assert ("max: 24" in text(house)) == ("hour 24" in accepted)
    assert answer["next"].startswith("millrace run --task trips")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only", "kinds"], "has no change of 'kinds'. Did you mean 'kind'? Known: hour, hour=max, kind, kind=B"),
        (
            ["--except", "kind=Bitcoins"],
            "no change of 'kind=Bitcoins'. Did you mean 'kind=Bitcoin'? Known: hour, hour=max, kind, kind=Bitcoin, kind=cash.",
        ),
        (["--only", "hour=min"], "has no change of 'hour=min'."),
        (["--only", "kind=None"], "has no change of 'kind=None'."),
        (["--only", "kind=cash"], "nothing to accept: the only change chosen looks like an error in the data."),
        (["--except", "kind", "--except", "hour"], "nothing to accept: --except leaves none of the changes."),
    ],
)
def test_a_choice_that_leaves_nothing(house: Path, millrace: Any, flags: list[str], message: str) -> None:
    run_of(house, NEW)
    millrace("propose", "--task", "trips")
    code, _, err = millrace("accept", "--task", "trips", *flags)
    assert code == 2
    assert message in err
    assert text(house) == TEXT


def test_a_schema_that_changed_since_is_refused(house: Path, millrace: Any) -> None:
    run_of(house, NEW)
    millrace("propose", "--task", "trips")
    changed = TEXT.replace("max: 20", "max: 21")
    (house / "schemas" / "trips" / "schema.pbtxt").write_text(changed)
    code, _, err = millrace("accept", "--task", "trips")
    assert code == 2
    assert "schemas/trips/schema.pbtxt changed since the proposal of run 20260102T000000 was made" in err
    assert "Next: millrace schema propose --task trips\n" in err
    assert text(house) == changed


def test_a_change_that_the_task_can_not_take_is_refused(house: Path, millrace: Any) -> None:
    run_of(house, [{"hour": "7.5"}] * 3)
    code, out, _ = millrace("propose", "--task", "trips")
    assert "Categorical takes INT: the task would have to change, too" in out
    assert out.endswith(
        f"\nnext    mend the data; if it is right: millrace schema accept --task trips --run {RUN} --doubtful\n"
    )
    code, _, err = millrace("accept", "--task", "trips", "--doubtful")
    assert code == 2
    assert "feature 'hour': Categorical takes INT. Received: type=FLOAT" in err
    assert text(house) == TEXT


def test_the_last_run_is_meant_unless_one_is_named(house: Path, millrace: Any) -> None:
    run_of(house, [{"kind": "Bitcoin"}] * 2, "20260101T000000")
    run_of(house, [{"kind": "Zelle"}] * 2, "20260102T000000")
    assert json.loads(millrace("propose", "--task", "trips", "--json")[1])["changes"][0]["settings"] == {
        "value": "Zelle"
    }
    _, out, _ = millrace("propose", "--task", "trips", "--run", "20260101T000000", "--json")
    proposal = json.loads(out)
    assert (proposal["run_id"], proposal["rows"], proposal["quarantined"]) == ("20260101T000000", 1000, 2)
    assert proposal["changes"][0]["settings"] == {"value": "Bitcoin"}
    assert proposal["changes"][0]["doubts"] == []
    millrace("accept", "--task", "trips", "--run", "20260101T000000")
    assert 'value: "Bitcoin"' in text(house)


def test_accept_takes_the_newest_run_that_has_data(house: Path, millrace: Any) -> None:
    run_of(house, [{"kind": "Bitcoin"}] * 2, "20260101T000000")
    millrace("propose", "--task", "trips")
    run_of(house, [{"kind": "Zelle"}] * 2, "20260102T000000")
    run_of(house, [], "20260103T000000", outcome="failed", artifacts={})
    code, _, err = millrace("accept", "--task", "trips")
    assert (code, text(house)) == (2, TEXT)
    assert err == "error run 20260102T000000 has no proposal. Next: millrace schema propose --task trips\n"
    (house / "runs").rename(house / "my runs")
    where = ["--task", "trips", "--root", "my runs"]
    _, _, err = millrace("accept", *where, "--run", "20260102T000000")
    assert err.endswith("Next: millrace schema propose --task trips --root 'my runs' --run 20260102T000000\n")
    _, out, _ = millrace("accept", *where, "--run", "20260101T000000", "--json")
    assert json.loads(out)["accepted"] == ["kind: may be 'Bitcoin'"]


def test_propose_means_the_same_run_as_accept(house: Path, millrace: Any) -> None:
    run_of(house, [{"kind": "Zelle"}] * 2, "20260102T000000")
    run_of(house, [], "20260103T000000", outcome="failed", artifacts={"quarantine": None})
    assert json.loads(millrace("propose", "--task", "trips", "--json")[1])["run_id"] == "20260102T000000"
    _, out, _ = millrace("accept", "--task", "trips", "--json")
    assert json.loads(out)["accepted"] == ["kind: may be 'Zelle'"]


def test_a_wider_range_gets_through_while_its_other_end_is_in_doubt(house: Path, millrace: Any) -> None:
    run_of(house, [{"hour": "22"}] * 100 + [{"hour": "-1"}])
    millrace("propose", "--task", "trips")
    code, _, err = millrace("accept", "--task", "trips", "--only", "hour=min")
    assert (code, "looks like an error" in err) == (2, True)
    code, out, _ = millrace("accept", "--task", "trips")
    assert code == 0
    assert "accepted   hour at most 22, not 20\n" in out
    assert "left out   hour at least -1, not 0 (negative where nothing was below 0)\n" in out
    assert text(house) == TEXT.replace("max: 20", "max: 22")


def test_only_the_lower_end_of_a_range(house: Path, millrace: Any) -> None:
    run_of(house, [{"hour": "22"}] * 100 + [{"hour": "-1"}])
    millrace("propose", "--task", "trips")
    millrace("accept", "--task", "trips", "--except", "hour=max", "--doubtful")
    assert text(house) == TEXT.replace("min: 0\n", "min: -1\n")


def test_a_run_whose_rows_all_fit(house: Path, millrace: Any) -> None:
    run_of(house, [])
    code, out, _ = millrace("propose", "--task", "trips")
    assert (code, out) == (
        0,
        "trips, run 20260102T000000: 1,000 rows, 0 of them in quarantine. Nothing to propose. "
        "The rows fit schemas/trips/schema.pbtxt as it is now.\n",
    )


def test_what_the_schema_does_not_settle_is_told_with_its_next_step(house: Path, millrace: Any) -> None:
    run_of(house, [{"hour": "noon"}] * 2)
    code, out, _ = millrace("propose", "--task", "trips")
    assert code == 0
    assert "Nothing to propose. The schema can't help with what is below.\n\nNot a matter of the schema:\n" in out
    assert "  - hour: no value of the schema's type (2 rows), such as 'noon' at rows.csv:2. Next: mend the data" in out


@pytest.mark.parametrize("command", ["show", "propose", "accept"])
def test_a_task_without_a_schema_is_told_to_make_one(house: Path, millrace: Any, command: str) -> None:
    (house / "schemas" / "trips" / "schema.pbtxt").unlink()
    code, _, err = millrace(command, "--task", "trips")
    assert code == 2
    assert "task 'trips' has no curated schema" in err
    assert "Next: millrace schema init --task trips" in err


@pytest.mark.parametrize("command", ["init", "show", "propose", "accept"])
def test_an_unknown_task(house: Path, millrace: Any, command: str) -> None:
    code, _, err = millrace(command, "--task", "trip")
    assert (code, err) == (2, "error Unknown task 'trip'. Known: trips.\n")


@pytest.mark.parametrize("command", ["propose", "accept"])
def test_no_run_an_unknown_run_and_a_run_without_data(house: Path, millrace: Any, command: str) -> None:
    code, _, err = millrace(command, "--task", "trips")
    assert (code, err) == (2, "error no run of 'trips' in runs. Next: millrace run --task trips --root runs\n")
    run_of(house, [], outcome="failed", artifacts={})
    code, _, err = millrace(command, "--task", "trips", "--run", "20260103T000000")
    assert code == 2
    assert "--run: no run '20260103T000000' of 'trips' in runs. Did you mean '20260102T000000'?" in err
    code, _, err = millrace(command, "--task", "trips")
    assert code == 2
    assert ("left no data to look at" if command == "propose" else "has no proposal") in err


@pytest.mark.parametrize("command", ["show", "propose"])
def test_a_schema_that_is_broken(house: Path, millrace: Any, command: str) -> None:
    run_of(house, NEW)
    (house / "schemas" / "trips" / "schema.pbtxt").write_text('feature {\n  nam: "x"\n}\n')
    code, _, err = millrace(command, "--task", "trips")
    assert code == 2
    assert "does not parse at line:column 2:3" in err


@pytest.mark.parametrize("content", ["", "[]", '{"changes": 3}', '{"task": "trips", "changes": [], "oops": 1}'])
def test_a_proposal_that_is_broken(house: Path, millrace: Any, content: str) -> None:
    folder = run_of(house, NEW)
    (folder / "schema_proposal.json").write_text(content)
    code, _, err = millrace("accept", "--task", "trips")
    assert code == 2
    assert "schema_proposal.json can't be read" in err
    assert "Next: millrace schema propose --task trips\n" in err


def test_a_disk_that_is_full(house: Path, millrace: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(house, NEW)
    millrace("propose", "--task", "trips")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    code, _, err = millrace("accept", "--task", "trips")
    assert code == 2
    assert "schemas/trips/schema.pbtxt can't be written: No space left on device. Next: check the disk" in err
    assert text(house) == TEXT
    assert [file.name for file in (house / "schemas" / "trips").iterdir()] == ["schema.pbtxt"]


def test_init_writes_what_the_rows_say(house: Path, millrace: Any) -> None:
    rows = "".join(f"{fare}.5,{fare % 24},{'Cash' if fare % 3 else 'Card'},0\n" for fare in range(720))
    (house / "rows.csv").write_text(f"fare,hour,kind,tips\n{rows}")
    code, _, err = millrace("init", "--task", "trips")
    assert (code, text(house)) == (2, TEXT)
    assert "schemas/trips/schema.pbtxt is there already" in err
    code, out, _ = millrace("init", "--task", "trips", "--force")
    assert code == 0
    made = schema.read(house / "schemas" / "trips" / "schema.pbtxt")
    assert [(f.name, f.type) for f in made.feature] == [("fare", 3), ("hour", 2), ("kind", 1), ("tips", 2)]
    assert (made.feature[1].int_domain.min, made.feature[1].int_domain.max) == (0, 23)
    assert list(made.string_domain[0].value) == ["Card", "Cash"]
    assert list(made.feature[3].not_in_environment) == ["SERVING"]
    assert "# none missing; 720 distinct; 0.5 to 719.5\n" in text(house)
    assert "Written: schemas/trips/schema.pbtxt, 4 columns from 720 rows of rows.csv\n" in out
    assert "next    review every line of it, then: millrace run --task trips\n" in out
    schema.check(tasks.load("trips"), made)


def test_init_of_other_data_of_some_rows_as_json(house: Path, millrace: Any) -> None:
    (house / "schemas" / "trips" / "schema.pbtxt").unlink()
    (house / "other.csv").write_text("fare,hour,kind\n1,x,a\n2,y,b\n3,z,c\n")
    code, out, _ = millrace("init", "--task", "trips", "--data", "other.csv", "--rows", "2", "--json")
    assert code == 0
    answer = json.loads(out)
    assert (answer["rows"], [column["type"] for column in answer["columns"]]) == (2, ["INT", "BYTES", "BYTES"])
    assert "column 'tips' is not in the schema" in answer["misfit"]
    assert "feature 'hour': Categorical takes INT. Received: type=BYTES" in answer["misfit"]
    assert "from the first 2 rows; review" in text(house)


def test_init_counts_records_that_are_no_rows(house: Path, millrace: Any) -> None:
    (house / "rows.csv").write_text("fare,hour,kind,tips\n1,2,a,0\n1,2\n1,2,a,0\n")
    code, out, _ = millrace("init", "--task", "trips", "--force")
    assert code == 0
    assert "1 record could not be read, the first at rows.csv:3" in out


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (None, 2, "does not exist"),
        ("", 10, "the file is empty"),
        ("fare,hour\n", 2, "has no rows to infer a schema from"),
    ],
)
def test_init_without_rows_writes_nothing(
    house: Path, millrace: Any, content: str | None, code: int, message: str
) -> None:
    if content is not None:
        (house / "rows.csv").write_text(content)
    received, _, err = millrace("init", "--task", "trips", "--force")
    assert received == code
    assert message in err
    assert text(house) == TEXT
    assert [file.name for file in (house / "schemas" / "trips").iterdir()] == ["schema.pbtxt"]


def test_show_says_what_each_column_is_for(house: Path, millrace: Any) -> None:
    code, out, _ = millrace("show", "--task", "trips", "--json")
    assert code == 0
    shown = {row["column"]: row for row in json.loads(out)}
    assert shown["hour"] == {
        "column": "hour",
        "type": "INT",
        "presence": "required",
        "allowed": "0 to 20",
        "environments": "TRAINING, SERVING",
        "used as": "a feature",
        "thresholds": "drift 0.2 (fail)",
    }
    assert (shown["tips"]["environments"], shown["tips"]["used as"]) == ("TRAINING", "the label")
    assert (shown["kind"]["allowed"], shown["kind"]["thresholds"]) == ("'Card', 'Cash'", "drift 0.3 (fail)")
    _, out, _ = millrace("show", "--task", "trips")
    assert "hour     INT     required   0 to 20" in out
