"""Predictions from files to files: values, the account, errors, order, and what a stop leaves behind."""

import csv
import dataclasses
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import DataBlocked, MillraceError, UsageError
from pipeline.ingest import files
from pipeline.predict import inputs, models, place, run, work, writer
from pipeline.predict.request import Request

Ask = Callable[..., Request]
TRIPS = "id,x,n,t\n01,32,,\n02,64,4,a\n03,0,,zebra\n"
ANSWERS = [0.25, 0.78125, 0.0]


def written(folder: Path, text: str = TRIPS, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def rows_of(path: str | Path) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_to_csv_has_the_place_the_columns_and_the_answers(ask: Ask, tmp_path: Path) -> None:
    data = written(tmp_path)
    account = run.predict(ask(data))
    found = rows_of(tmp_path / "out.csv")
    assert list(found[0]) == ["file", "line", "id", "x", "n", "t", "probability", "model_version"]
    assert [row["line"] for row in found] == ["2", "3", "4"]
    assert [row["id"] for row in found] == ["01", "02", "03"]
    assert [float(row["probability"]) for row in found] == ANSWERS
    assert {(row["file"], row["model_version"]) for row in found} == {(str(data), "7")}
    assert {name: account[name] for name in ("rows", "answered", "errors", "passed")} == {
        "rows": 3,
        "answered": 3,
        "errors": 0,
        "passed": True,
    }
    assert json.loads((tmp_path / "out.csv.account.json").read_text()) == account
    assert rows_of(tmp_path / "out.csv.errors.csv") == []


def test_parquet_has_the_types_that_the_model_reads(ask: Ask, tmp_path: Path) -> None:
    run.predict(ask(written(tmp_path), tmp_path / "out.parquet"))
    found = pq.read_table(tmp_path / "out.parquet")
    types = {field.name: str(field.type) for field in found.schema}
    assert types == {
        "file": "string",
        "line": "int64",
        "id": "string",
        "x": "double",
        "n": "int64",
        "t": "string",
        "probability": "float",
        "model_version": "string",
    }
    assert found["probability"].to_pylist() == ANSWERS
    assert found["n"].to_pylist() == [None, 4, None]


def test_keys_are_all_that_is_kept(ask: Ask, tmp_path: Path) -> None:
    run.predict(ask(written(tmp_path), keys=("t", "id")))
    assert [list(row.values())[:2] for row in rows_of(tmp_path / "out.csv")] == [
        ["", "01"],
        ["a", "02"],
        ["zebra", "03"],
    ]
    assert list(rows_of(tmp_path / "out.csv")[0]) == ["t", "id", "probability", "model_version"]


def tfrecord(path: Path, rows: list[dict[str, Any]], example: Any) -> Path:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as file:
        for row in rows:
            file.write(example(row))
    return path


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "jsonl", "tfrecord", "data_tfrecord-00000-of-00001"])
def test_every_format_has_the_same_answers(ask: Ask, tmp_path: Path, kind: str, example: Any) -> None:
    rows = [{"id": 1, "x": 32.0}, {"id": 2, "x": 64.0, "n": 4, "t": "a"}, {"id": 3, "x": 0.0, "t": "zebra"}]
    data = tmp_path / (kind if "tfrecord-" in kind else f"data.{kind}")
    if kind == "csv.gz":
        data.write_bytes(gzip.compress(TRIPS.encode()))
    elif kind == "parquet":
        pq.write_table(
            pa.Table.from_pylist(rows, pa.schema({"id": "int32", "x": "double", "n": "int64", "t": "string"})), data
        )
    elif kind == "jsonl":
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        tfrecord(data, rows, example)
    run.predict(ask(data, tmp_path / "out.parquet"))
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["probability"] for row in found] == ANSWERS
    assert [int(row["id"]) for row in found] == [1, 2, 3]
    assert [row["x"] for row in found] == [32.0, 64.0, 0.0]


def test_a_parquet_file_keeps_its_own_types(ask: Ask, tmp_path: Path) -> None:
    given = pa.table(
        {
            "x": pa.array([32.0, 64.0], pa.float64()),
            "n": pa.array([1, None], pa.int16()),
            "t": pa.array(["a", "b"]).dictionary_encode(),
            "when": pa.array([0, 1], pa.timestamp("us")),
            "tags": pa.array([["u", "v"], []]),
        }
    )
    pq.write_table(given, tmp_path / "data.parquet")
    run.predict(ask(tmp_path / "data.parquet", tmp_path / "out.parquet"))
    found = pq.read_table(tmp_path / "out.parquet")
    assert [str(found.schema.field(n).type) for n in ("x", "n", "t", "when", "tags")] == [
        "double",
        "int16",
        "string",
        "timestamp[us]",
        "string",
    ]
    assert found["tags"].to_pylist() == ['["u", "v"]', "[]"]
    run.predict(ask(tmp_path / "data.parquet"))
    assert [row["when"] for row in rows_of(tmp_path / "out.csv")] == [
        "1970-01-01 00:00:00.000000",
        "1970-01-01 00:00:00.000001",
    ]


def test_a_row_is_answered_or_listed(ask: Ask, tmp_path: Path) -> None:
    """Types, missing required values, what is no row, what the model fails on; domains and ranges are not for these rows."""
    data = written(
        tmp_path,
        "id,x,n,t,y\n"
        "1,32,,,\n"  # y, the label, is required in training only
        "2,many,,,1\n"
        "3,,,,1\n"
        "4,inf,,,1\n"
        "5,13,,,1\n"
        "6,14,,,1\n"
        "7,128,2.5,a,1\n"
        "8,1,2\n"
        "9,-64,,unseen,text\n",
    )
    account = run.predict(ask(data, max_errors=0.5))
    assert [(row["id"], float(row["probability"])) for row in rows_of(tmp_path / "out.csv")] == [
        ("1", 0.25),
        ("9", -0.5),
    ]
    errors = rows_of(tmp_path / "out.csv.errors.csv")
    assert [(row["line"], row["column"], row["rule"], row["value"]) for row in errors] == [
        ("3", "x", "type", "many"),
        ("4", "x", "required", ""),
        ("5", "x", "finite", "inf"),
        ("6", "", "model", ""),
        ("7", "", "model", ""),
        ("8", "n", "type", "2.5"),
        ("9", "", "parse", ""),
    ]
    assert "no thirteens" in errors[3]["message"]
    assert errors[4]["message"] == "expected a finite answer of the model. Received: probability=nan"
    assert json.loads(errors[0]["row"]) == {"id": "2", "x": "many", "n": None, "t": None, "y": "1"}
    assert json.loads(errors[3]["row"])["id"] == "5"
    assert (account["rows"], account["answered"], account["errors"], account["passed"]) == (9, 2, 7, False)
    assert sum(rule["rows"] for rule in account["rules"]) == 7


def test_the_values_of_a_row_do_not_depend_on_a_bad_neighbour(ask: Ask, tmp_path: Path) -> None:
    """A block with a value that does not fit comes as text; its other rows are written as they would be without it."""
    good = "id,x,n,t\n1,41.880994471, 7,\n2,0.1,5.0,\n"
    for name, text in (("one", good), ("two", f"{good}3,oops,1,\n")):
        run.predict(ask(written(tmp_path, text), tmp_path / f"{name}.parquet", max_errors=1.0, overwrite=True))
    one, two = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("one", "two"))
    assert one["x"].to_pylist() == [41.880994471, 0.1]
    assert one["n"].to_pylist() == [7, 5]
    assert two.equals(one)


def test_files_follow_one_another_and_the_account_has_each(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "days"
    folder.mkdir()
    for day in (2, 1, 3):
        written(folder, f"id,x,n,t\n{day}-0,{day},,\n{day}-1,{day},,\n", f"{day}.csv")
    (folder / "_SUCCESS").write_text("")
    for out in ("out.csv", "out.parquet"):
        account = run.predict(ask(folder, tmp_path / out))
    assert [row["id"] for row in rows_of(tmp_path / "out.csv")] == ["1-0", "1-1", "2-0", "2-1", "3-0", "3-1"]
    assert pq.read_table(tmp_path / "out.parquet")["id"].to_pylist() == ["1-0", "1-1", "2-0", "2-1", "3-0", "3-1"]
    assert [(Path(file["file"]).name, file["answered"]) for file in account["files"]] == [
        ("1.csv", 2),
        ("2.csv", 2),
        ("3.csv", 2),
    ]


def test_a_folder_has_shards_errors_and_the_account(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SHARD_ROWS", 4)
    rows = "".join(f"{number},{number if number != 3 else 'x'},,\n" for number in range(11))
    account = run.predict(ask(written(tmp_path, f"id,x,n,t\n{rows}"), f"{tmp_path}/out/", max_errors=0.1))
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert names == [
        "account.json",
        "errors/rows.csv",
        "errors/rows.parquet",
        *(f"part-0000{number}-of-00003.parquet" for number in range(3)),
    ]
    shards = [pq.read_table(tmp_path / "out" / name)["id"].to_pylist() for name in names[3:]]
    assert shards == [["0", "1", "2", "4"], ["5", "6", "7", "8"], ["9", "10"]]
    assert pq.read_table(tmp_path / "out" / "errors" / "rows.parquet")["line"].to_pylist() == [5]
    assert account["passed"]
    run.predict(ask(tmp_path / "data.csv", f"{tmp_path}/text", format="csv"))
    assert len(rows_of(tmp_path / "text" / "part-00000-of-00003.csv")) == 4


def test_a_file_without_rows_gives_columns(ask: Ask, tmp_path: Path) -> None:
    account = run.predict(ask(written(tmp_path, "id,x,n,t\n"), tmp_path / "out.parquet"))
    assert pq.read_table(tmp_path / "out.parquet").column_names[-2:] == ["probability", "model_version"]
    assert (account["rows"], account["passed"]) == (0, True)


def test_what_is_there_is_replaced_only_if_asked(ask: Ask, tmp_path: Path) -> None:
    data = written(tmp_path)
    for out in (tmp_path / "out.csv", f"{tmp_path}/out/"):
        run.predict(ask(data, out))
        with pytest.raises(UsageError, match=r"is there already.*--overwrite"):
            run.predict(ask(data, out))
        run.predict(ask(data, out, overwrite=True, version="8"))
    assert {row["model_version"] for row in rows_of(tmp_path / "out.csv")} == {"8"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "data.csv",
        "out",
        "out.csv",
        "out.csv.account.json",
        "out.csv.errors.csv",
    }


def test_all_missing_columns_of_all_files_are_told_before_a_row_is_read(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    written(folder, "id,X,n,t\n1,1,1,a\n", "1.csv")
    written(folder, "id,x,n\n1,1,1\n", "2.csv")
    with pytest.raises(DataBlocked) as caught:
        run.predict(ask(folder))
    said = str(caught.value)
    assert "1.csv: column 'x', which the model reads, is missing. Did you mean 'X'?" in said
    assert "2.csv: column 't', which the model reads, is missing." in said
    assert "column 'n'" not in said
    assert not (tmp_path / "out.csv").exists()


def test_json_lines_may_lack_what_the_schema_lets_be_missing(ask: Ask, tmp_path: Path) -> None:
    account = run.predict(ask(written(tmp_path, '{"x": 32}\n', "data.jsonl")))
    assert float(rows_of(tmp_path / "out.csv")[0]["probability"]) == 0.25
    assert account["absent_columns"] == ["n", "t"]
    with pytest.raises(DataBlocked, match=r"column 'n', which the model reads, is missing\. Did you mean 'N'"):
        run.predict(ask(written(tmp_path, '{"x": 32, "N": 1}\n', "data.jsonl"), overwrite=True))
    with pytest.raises(DataBlocked, match="column 'x', which the model reads, is missing"):
        run.predict(ask(written(tmp_path, '{"n": 32}\n', "data.jsonl"), overwrite=True))


@pytest.mark.parametrize(
    ("keys", "said"),
    [(("idd",), "no column 'idd'. Did you mean 'id'"), (("id", "id"), "'id' is given twice")],
)
def test_wrong_keys_are_refused(ask: Ask, tmp_path: Path, keys: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run.predict(ask(written(tmp_path), keys=keys))


def test_columns_with_names_of_ours_are_refused_unless_left_out(ask: Ask, tmp_path: Path) -> None:
    data = written(tmp_path, "id,x,n,t,probability,line\n1,32,,,0.5,9\n")
    with pytest.raises(UsageError, match="line, probability"):
        run.predict(ask(data))
    run.predict(ask(data, keys=("line",)))
    assert rows_of(tmp_path / "out.csv") == [{"line": "9", "probability": "0.25", "model_version": "7"}]


def test_one_broken_file_writes_nothing_and_is_named(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    table = pa.table({"x": [1.0], "n": [1], "t": ["a"]})
    pq.write_table(table, folder / "1.parquet")
    whole = (folder / "1.parquet").read_bytes()
    (folder / "2.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataBlocked, match=r"2\.parquet: the file is truncated"):
        run.predict(ask(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_file_that_breaks_in_the_middle_writes_nothing(ask: Ask, tmp_path: Path) -> None:
    data = tmp_path / "data.csv.gz"
    text = "id,x,n,t\n" + "".join(f"{number},{number * 7 % 11},,\n" for number in range(400_000))
    packed = gzip.compress(text.encode())
    data.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataBlocked, match=r"data\.csv\.gz"):
        run.predict(ask(data))
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv.gz"]


def test_a_full_disk_is_told_and_writes_nothing(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.Shards, "write", full)
    with pytest.raises(MillraceError, match="No space left on device"):
        run.predict(ask(written(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_ctrl_c_ends_it_and_clears_up(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writer.Shards, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.predict(ask(written(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_a_killed_prediction_leaves_nothing_of_its_name_and_the_next_one_clears_up(
    ask: Ask, tmp_path: Path, model: str
) -> None:
    """A real process, killed while it answers; what it left is hidden, and is gone after the next."""
    data = written(tmp_path, "id,x,n,t\n" + "".join(f"{number},1,,\n" for number in range(300_000)))
    partial = tmp_path / ".out.csv.partial"
    code = f"""
import time
from pathlib import Path
from pipeline.predict import place, writer
write = writer.Shards.write
def slowly(self, batch):
    write(self, batch)
    Path({str(tmp_path / "writing")!r}).touch()
    time.sleep(600)
writer.Shards.write = slowly
with place.Place.of({str(tmp_path / "out.csv")!r}, "parquet").partial() as folder:
    import pyarrow as pa
    shards = writer.Shards(str(folder / "part"), pa.schema([("a", pa.int64())]), "csv", None)
    shards.write(pa.RecordBatch.from_pydict({{"a": [1]}}))
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "writing").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(UsageError, match="another prediction is writing"):
            run.predict(ask(data))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert {path.name for path in partial.iterdir()} == {".lock", "part-00000.csv"}
    assert not (tmp_path / "out.csv").exists()
    assert run.predict(ask(data))["answered"] == 300_000
    assert not partial.exists()


def test_answers_are_those_of_the_signature_in_any_batch(ask: Ask, tmp_path: Path, model: str) -> None:
    random = np.random.default_rng(1)
    x = random.uniform(0, 12, 20_000).astype(np.float32)
    n = random.integers(0, 9, 20_000)
    pq.write_table(pa.table({"x": x, "n": n, "t": ["b"] * 20_000}), tmp_path / "data.parquet")
    run.predict(ask(tmp_path / "data.parquet", tmp_path / "out.parquet"))
    asked = models.load(model)
    expected = asked.ask({"x": x, "n": n, "t": np.array([b"b"] * 20_000, object)})["probability"]
    np.testing.assert_allclose(pq.read_table(tmp_path / "out.parquet")["probability"].to_numpy(), expected, atol=1e-6)


def test_a_worker_s_part_adds_up(ask: Ask, tmp_path: Path, model: str) -> None:
    request = ask(written(tmp_path, "id,x,n,t\n1,1,,\n2,bad,,\n"))
    source, units = inputs.files_of(request)
    job = inputs.job(request, models.load(model), source, units, "parquet", None)
    part = work.predict(job, units[0], str(tmp_path / "part"))
    assert [rows for _, rows in part.shards] == [1]
    assert (part.account.rows, part.account.splits["answered"], part.account.quarantined) == (2, 1, 1)
    assert pq.read_table(part.errors)["value"].to_pylist() == ["bad"]
    assert place.Place.of(request.out, "parquet").format == "csv"


GOOD, BAD = ("1", "2.5", "-7", " 3 "), ("x", "", "13", "14", "inf", "1e99")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(GOOD + BAD), min_size=1, max_size=20), st.integers(1, 5), st.sampled_from([None, 3]))
def test_every_line_is_answered_or_listed_once(
    ask: Ask, tmp_path: Path, model: str, values: list[str], at_once: int, shard_rows: int | None
) -> None:
    text = "".join(f"{number},{value},,\n" for number, value in enumerate(values))
    request = ask(written(tmp_path, f"id,x,n,t\n{text}"))
    loaded = models.load(model)
    source, units = inputs.files_of(request)
    job = dataclasses.replace(inputs.job(request, loaded, source, units, "parquet", shard_rows), batch_rows=at_once)
    part = work.predict(job, units[0], str(tmp_path / "part"))
    answered = [row for path, _ in part.shards for row in pq.read_table(path).to_pylist()]
    listed = pq.read_table(part.errors).to_pylist()
    assert [row["id"] for row in answered] == [str(i) for i, value in enumerate(values) if value in GOOD]
    assert [row["probability"] for row in answered] == [float(v) / 128 for v in values if v in GOOD]
    assert [row["line"] - 2 for row in listed] == [i for i, value in enumerate(values) if value in BAD]
    assert part.account.rows == len(values) == len(answered) + len(listed)


def test_rows_in_a_bucket_are_read(ask: Ask, tmp_path: Path, bucket: str) -> None:
    with files.create(f"{bucket}/days/1.csv") as stream:
        stream.write(TRIPS.encode())
    run.predict(ask(f"{bucket}/days/*.csv"))
    assert [float(row["probability"]) for row in rows_of(tmp_path / "out.csv")] == ANSWERS
    assert rows_of(tmp_path / "out.csv")[0]["file"] == f"{bucket}/days/1.csv"


def test_a_model_of_tf_examples_is_asked_by_them(ask: Ask, tmp_path: Path) -> None:
    import tensorflow as tf

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples: Any) -> dict[str, Any]:
            spec = {"x": tf.io.FixedLenFeature([], tf.float32), "n": tf.io.FixedLenFeature([], tf.int64, -1)}
            parsed = tf.io.parse_example(examples, spec)
            return {"prediction": parsed["x"] + tf.cast(parsed["n"], tf.float32)}

    made = Model()
    tf.saved_model.save(made, str(tmp_path / "m"), {"serving_default": made.serve})
    run.predict(ask(written(tmp_path), model=str(tmp_path / "m")))
    assert [float(row["prediction"]) for row in rows_of(tmp_path / "out.csv")] == [31.0, 68.0, -1.0]


def test_a_row_with_several_values_where_one_is_read_is_an_error(ask: Ask, tmp_path: Path, example: Any) -> None:
    data = tfrecord(tmp_path / "data.tfrecord", [{"x": 32.0}, {"x": [1.0, 2.0]}, {"x": 64.0}], example)
    run.predict(ask(data, max_errors=1.0))
    assert [(row["line"], float(row["probability"])) for row in rows_of(tmp_path / "out.csv")] == [
        ("1", 0.25),
        ("3", 0.5),
    ]
    assert [row["rule"] for row in rows_of(tmp_path / "out.csv.errors.csv")] == ["single"]
