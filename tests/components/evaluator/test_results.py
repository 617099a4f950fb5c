"""Metrics and plots that were computed on columns are TFMA's own: every record against those that TFMA makes row by row."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.writers import eval_config_writer, metrics_plots_and_validations_writer

from components.evaluator import results
from pipeline import evaluation
from pipeline.evaluation import answer_column, eval_config, plots_config
from pipeline.evidence import report
from pipeline.evidence.cuts import Values
from pipeline.evidence.report import Columns
from pipeline.evidence.tables import BASELINE, CANDIDATE
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, Label, MultiClass, MultiLabel, Regression
from pipeline.task import Task

ROWS = 240
SPECIES = ("cat", "dog", "horse", "newt", "owl")
"""No row is a newt."""
LABELS: tuple[Label, ...] = (
    Binary("tips"),
    Regression("tips"),
    MultiClass("species", SPECIES),
    MultiLabel("genres", ("comedy", "crime", "drama"), threshold=0.45),
)
CROSSES = ("hour", "company", ("hour", "company"))
PLACES = {CANDIDATE: "/models/7", BASELINE: "/models/8"}


def answers_of(label: Label, target: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """With ties, and of Binary labels sure ones too."""
    if isinstance(label, Regression):
        return (target[:, 0] + random.normal(0, 3, ROWS)).astype(np.float32)
    if isinstance(label, MultiClass):
        return np.asarray(random.dirichlet(np.ones(5), ROWS), np.float32)
    if isinstance(label, MultiLabel):
        return random.random((ROWS, 3)).astype(np.float32)
    given = random.random(ROWS).round(2)
    given[:12] = np.repeat([0.0, 1.0, 0.5], 4)
    return np.asarray(given, np.float32)


def columns_of(label: Label, *, baseline: bool) -> Columns:
    """Rows without a slice's value, slices with one class and with one row, names with a comma and an umlaut."""
    random = np.random.default_rng(7)
    if isinstance(label, MultiClass):
        target = random.choice([0.0, 1.0, 2.0, 4.0], (ROWS, 1))
    elif isinstance(label, MultiLabel):
        target = random.random((ROWS, 3)) < 0.4
    elif isinstance(label, Regression):
        target = random.normal(5, 3, (ROWS, 1))
    else:
        target = random.random((ROWS, 1)) < 0.4
    hours = pd.Categorical.from_codes(random.integers(-1, 3, ROWS), ["7", "8", "9"])
    companies = random.choice(np.array(["A, B", "Ö", None], object), ROWS)
    companies[0], companies[20:30] = "alone", "one class"
    target[20:30] = target[20]
    target = np.asarray(target, np.float32)
    models = (CANDIDATE, BASELINE) if baseline else (CANDIDATE,)
    answers = {model: answers_of(label, target, random) for model in models}
    return Columns(target, answers, {"hour": hours, "company": companies})


def task_of(tiny: Task, label: Label) -> Task:
    name = sorted(label.measures)[0]
    rules = Evaluation(metrics=tuple(sorted(label.measures)), slices=CROSSES, gates=(Gate(name, at_least=0.0),))
    return replace(tiny, label=label, evaluation=rules)


def by_tfma(pipeline: beam.Pipeline, task: Task, columns: Columns, locations: Mapping[str, str], path: str) -> None:
    """Has TFMA compute metrics by slice, and plots over all rows: it takes the columns apart into rows, by Beam."""
    baseline = BASELINE in columns.answers
    config = eval_config(task, baseline=baseline)
    places = results.locations_of(config, locations)
    batches = pipeline | "Columns" >> beam.Create(record_batches(task.label, columns), reshuffle=False)
    _ = batches | "Metrics" >> tfma.ExtractEvaluateAndWriteResults(
        eval_config=config,
        output_path=path,
        writers=[
            eval_config_writer.EvalConfigWriter(path, eval_config=config, model_locations=places),
            _writer(config, path, constants.METRICS_KEY),
        ],
    )
    plots = plots_config(task, columns.target, baseline=baseline)
    _ = batches | "Plots" >> tfma.ExtractEvaluateAndWriteResults(
        eval_config=plots, output_path=path, writers=[_writer(plots, path, constants.PLOTS_KEY)]
    )


def _writer(config: tfma.EvalConfig, path: str, kind: str) -> Any:
    """Of one kind of result, where TFMA's readers look for it."""
    return metrics_plots_and_validations_writer.MetricsPlotsAndValidationsWriter(
        output_paths={kind: str(PurePosixPath(path) / kind)}, eval_config=config, output_file_format="tfrecord"
    )


def record_batches(label: Label, columns: Columns) -> list[pa.RecordBatch]:
    """The columns for TFMA, in batches: see `pipeline.evaluation.eval_config` for their names."""
    lists: Mapping[str, pa.Array] = {
        label.transformed: _lists(columns.target),
        **{answer_column(label, model): _lists(values) for model, values in columns.answers.items()},
        **{
            name: pa.array([None if text is None else [text] for text in _texts(values)], pa.list_(pa.string()))
            for name, values in columns.slices.items()
        },
    }
    table = pa.table(dict(lists))
    return [batch for batch in table.to_batches(max_chunksize=8192) if batch.num_rows]


def _lists(values: np.ndarray) -> pa.Array:
    flat = values.reshape(len(values), -1)
    width = flat.shape[1]
    offsets = pa.array(np.arange(len(flat) + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(flat.ravel()))


def _texts(values: Values) -> list[str | None]:
    return list(pa.array(np.asarray(values, object), pa.string(), from_pandas=True).to_pylist())


@pytest.fixture(scope="module", params=[(LABELS[0], False), *((label, True) for label in LABELS)], ids=str)
def written(request: Any, tiny: Task, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, bool]:
    """Folders of what TFMA wrote, and of what was written from columns; whether there is a baseline."""
    label, baseline = request.param
    folder = tmp_path_factory.mktemp("results")
    task, columns = task_of(tiny, label), columns_of(label, baseline=baseline)
    places = {model: PLACES[model] for model in columns.answers}
    with beam.Pipeline(runner="BundleBasedDirectRunner") as pipeline:
        by_tfma(pipeline, task, columns, places, str(folder / "tfma"))
    results.write(task, columns, report.measure(task, columns), places, str(folder / "columns"))
    return str(folder / "tfma"), str(folder / "columns"), baseline


def values_of(path: str) -> dict[tuple[str, str], float]:
    """(Slice, metric's whole key) -> value."""
    found = {}
    for record in tfma.load_metrics(path):
        assert not record.metrics
        for pair in record.metric_keys_and_values:
            assert not pair.HasField("confidence_interval")
            assert pair.value.WhichOneof("type") == "double_value"
            found[str(record.slice_key), str(pair.key)] = pair.value.double_value.value
    return found


def test_every_metric_of_every_slice_is_tfmas(written: tuple[str, str, bool]) -> None:
    theirs, ours = (values_of(path) for path in written[:2])
    assert set(ours) == set(theirs)
    assert any("is_diff" in key for _, key in ours) == written[2]
    for key, value in theirs.items():
        if "example_count" in key[1]:
            assert ours[key] == value, key
        else:
            assert ours[key] == pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True), key
    assert 0 < sum(math.isfinite(value) for value in ours.values())


def numbers_of(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The place and the value of each number; infinite ones are words there."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers_of(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from numbers_of(item, (*at, number))
    else:
        yield at, value


def test_plots_are_tfmas(written: tuple[str, str, bool]) -> None:
    for model in (None, BASELINE) if written[2] else (None,):
        theirs, ours = (dict(numbers_of(evaluation.plots(path, model))) for path in written[:2])
        assert set(ours) == set(theirs)
        assert len(ours) > 5
        for place, value in theirs.items():
            assert float(ours[place]) == pytest.approx(float(value), rel=1e-6, abs=1e-6, nan_ok=True), place
    keys = [
        [str(pair.key) for record in tfma.load_plots(path) for pair in record.plot_keys_and_values]
        for path in written[:2]
    ]
    assert keys[0] == keys[1]


def test_what_was_computed_is_on_record_as_tfma_has_it(written: tuple[str, str, bool]) -> None:
    theirs, ours = (json.loads(Path(path, "eval_config.json").read_text("utf-8")) for path in written[:2])
    assert ours == theirs
    assert {Path(path).name for path in map(str, Path(written[1]).iterdir())} == {
        Path(path).name for path in map(str, Path(written[0]).iterdir())
    }


def test_tfmas_reader_finds_all_slices_and_models(written: tuple[str, str, bool]) -> None:
    for name in (CANDIDATE, BASELINE) if written[2] else (None,):
        theirs, ours = (tfma.load_eval_result(path, model_name=name) for path in written[:2])
        assert {key for key, _ in ours.slicing_metrics} == {key for key, _ in theirs.slicing_metrics}
        assert ours.config == theirs.config
        assert len(ours.plots) == len(theirs.plots) == 1


def test_a_row_without_a_label_or_an_answer_is_in_no_plot(tiny: Task, tmp_path: Path) -> None:
    for number, label in enumerate(LABELS[1:3]):
        columns = columns_of(label, baseline=False)
        columns.target[5] = np.nan
        columns.answers[CANDIDATE][6] = np.nan
        task = task_of(tiny, label)
        path = str(tmp_path / str(number))
        results.write(task, columns, report.measure(task, columns), PLACES, path)
        plots = evaluation.plots(path)
        counts = [
            float(value) for place, value in numbers_of(plots) if place[-1] in ("numWeightedExamples", "numWeighted")
        ]
        assert sum(counts) == ROWS - 2
        assert set(evaluation.metrics(path)["overall"]) == {"example_count"}
