"""`millrace predict`: exit codes, what it prints, which model it takes."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from pipeline import tasks
from pipeline.cli import guarded
from pipeline.cli_predict import predict, said
from pipeline.export import SERVING_SIGNATURE, Trained, export
from pipeline.labels import Scale
from pipeline.models.base import inputs_of
from pipeline.predict import models
from pipeline.task import Task
from pipeline.transform_graph import TransformGraph

Run = Callable[..., int]


@pytest.fixture(scope="module")
def root(tiny: Task, tiny_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny task's model, untrained, as versions 3 and 5."""
    folder = tmp_path_factory.mktemp("root")
    keras.utils.set_random_seed(5)
    inputs = inputs_of(tiny.features)
    model = keras.Model(inputs, tiny.model.scores(tiny.features, inputs, tiny.label.units))
    trained = Trained(model, Scale(), TransformGraph(tiny_data.transform), tiny.features, tiny.label)
    export(trained, str(folder / "tiny" / "serving" / "tiny" / "3"))
    shutil.copytree(folder / "tiny" / "serving" / "tiny" / "3", folder / "tiny" / "serving" / "tiny" / "5")
    return folder


@pytest.fixture
def data(tiny_rows: list[Mapping[str, Any]], tmp_path: Path) -> Path:
    """The tiny task's rows without the label."""
    path = tmp_path / "rows.parquet"
    names = ("miles", "fare", "company", "hour", "area")
    kinds = (pa.float32(), pa.float32(), pa.string(), pa.int64(), pa.int64())
    columns = {n: pa.array([row[n] for row in tiny_rows], kind) for n, kind in zip(names, kinds, strict=True)}
    pq.write_table(pa.table({"id": range(len(tiny_rows)), **columns}), path)
    return path


@pytest.fixture
def run(root: Path, tiny: Task, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function: flags of the command, to its exit code."""
    load = tasks.load
    monkeypatch.setattr(tasks, "load", lambda name, *rest: tiny if name == "tiny" else load(name, *rest))
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(predict)
    return lambda *flags: guarded(lambda: app([*map(str, flags), "--root", str(root)]))


def test_answers_are_those_of_both_signatures(run: Run, data: Path, root: Path, tiny_data: Any, tmp_path: Path) -> None:
    """To 1e-6: as a JSON client gets them from `columns`, and a client with tf.Examples from `serving_default`."""
    assert run("tiny", "--data", data, "--out", tmp_path / "out.parquet", "--keys", "id") == 0
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.column_names == ["id", "probability", "model_version"]
    assert found["id"].to_pylist() == list(range(300))
    assert set(found["model_version"].to_pylist()) == {"5"}
    session = models.load(str(root / "tiny" / "serving" / "tiny" / "5"))._session
    served = session.run(SERVING_SIGNATURE, {"examples": np.array(tiny_data.raw, object)})["probability"]
    np.testing.assert_allclose(found["probability"].to_numpy(), served, atol=1e-6)
    assert served.std() > 0


def test_the_version_or_another_model(run: Run, data: Path, root: Path, tmp_path: Path) -> None:
    assert run("tiny", "--data", data, "--out", tmp_path / "3.csv", "--version", "3") == 0
    assert '"3"' in (tmp_path / "3.csv").read_text().splitlines()[1]
    model = root / "tiny" / "serving" / "tiny" / "3"
    assert run("tiny", "--data", data, "--out", tmp_path / "m.csv", "--model", model) == 0
    assert (tmp_path / "m.csv").read_text() == (tmp_path / "3.csv").read_text()


def test_too_many_errors_are_exit_code_1_and_all_is_written(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"1,{'x' if number == 0 else 2},a,1,1\n" for number in range(10))
    (tmp_path / "rows.csv").write_text(f"miles,fare,company,hour,area\n{rows}")
    flags = ("tiny", "--data", tmp_path / "rows.csv", "--out", tmp_path / "out.csv")
    assert run(*flags) == 1
    assert "failed: 10.00% of the rows have errors. Expected at most 1.00%" in capsys.readouterr().out
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 10
    assert run(*flags, "--overwrite", "--max-errors", "0.1", "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert (account["rows"], account["answered"], account["errors"]) == (10, 9, 1)


@pytest.mark.parametrize(
    ("flags", "said_"),
    [
        ((), "--data is needed"),
        (("--data", "rows.csv"), "--out is needed"),
        (("--data", "rows.csv", "--out", "o", "--version", "3", "--model", "m"), "not both"),
        (("--data", "rows.csv", "--out", "o", "--beam-runner", "flank"), "no runner 'flank'"),
        (("--data", "rows.csv", "--out", "o", "--format", "csb"), "Did you mean 'csv'"),
        (("--data", "rows.csv", "--out", "o", "--beam", "fast"), "expected KEY=VALUE"),
        (("--data", "nowhere.csv", "--out", "o"), "nowhere.csv"),
        (("--data", "nowhere.csv", "--out", "o", "--version", "4"), "no version '4'"),
    ],
)
def test_wrong_flags_are_exit_code_2(
    run: Run, flags: tuple[str, ...], said_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tiny", *flags) == 2
    assert said_ in capsys.readouterr().err


def test_data_that_lacks_columns_is_exit_code_10(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("miles,Fare,company,hour\n1,2,a,1\n")
    assert run("tiny", "--data", tmp_path / "rows.csv", "--out", tmp_path / "out.csv") == 10
    told = capsys.readouterr().err
    assert "'area', which the model reads, is missing" in told
    assert "'fare', which the model reads, is missing. Did you mean 'Fare'?" in told
    assert os.listdir(tmp_path) == ["rows.csv"]


def test_the_account_in_words() -> None:
    rule = {"rows": 2, "column": "x", "message": "expected a number"}
    account = {
        **{"rows": 1000, "answered": 998, "errors": 2, "model_version": "7", "seconds": 1.25, "out": "o.csv"},
        **{
            "rules": [rule],
            "absent_columns": ["n"],
            "errors_at": "o.csv.errors.csv",
            "passed": True,
            "max_errors": 0.01,
        },
    }
    assert said(account).splitlines() == [
        "1,000 rows in = 998 answered + 2 with errors",
        "model 7 · 1.2 s · o.csv",
        "  2 x column 'x': expected a number",
        "  missing in every row of a file: n",
        "errors: o.csv.errors.csv",
    ]
