"""The floor: the same job as a plain script, without a pipeline. What a pipeline takes beyond it is overhead.

    python -m benchmarks.floor --data FOLDER --out floor.json

Reads the CSV files by pyarrow, splits by chance 2:1, makes the features of `taxi_tips` in numpy, trains a wide and deep
Keras model, and measures AUC, accuracy and the number of rows, over all rows and by hour. No statistics, no checks, no
schema, nothing that could serve raw rows, nothing kept but a Keras file.

`floor.json`: `{import_seconds, seconds, nodes: {id: seconds}, metrics: {auc, binary_accuracy, example_count}}`; the ids
are those of the pipeline's nodes that do the same.
"""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

from benchmarks.arguments import BatchSize, Seed, Steps

_LOGS = ("trip_miles", "trip_seconds", "fare")
_BUCKETS = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
_WORDS = {"payment_type": 22, "company": 105}
_CODES = {"trip_start_hour": 24, "trip_start_day": 8, "trip_start_month": 13}
_QUANTILES = 10
_HIDDEN = (100, 70, 50, 25)
_AT_ONCE = 8192


def main(
    data: Annotated[Path, typer.Option(help="Folder of CSV files.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    steps: Steps = 1000,
    batch_size: BatchSize = 40,
    seed: Seed = 0,
) -> None:
    """Does the job and writes what it took."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    began = time.perf_counter()
    import keras

    marks = [time.perf_counter()]
    table = read(data)
    in_train = np.random.default_rng(seed).integers(0, 3, table.num_rows) < 2
    marks.append(time.perf_counter())
    columns, target = prepared(table, in_train)
    marks.append(time.perf_counter())
    keras.utils.set_random_seed(seed)
    model = wide_deep()
    train = {name: values[in_train] for name, values in columns.items()}
    _fit(model, train, target[in_train], steps, batch_size, seed)
    model.save(out.with_suffix(".keras"))
    marks.append(time.perf_counter())
    held_out = {name: values[~in_train] for name, values in columns.items()}
    metrics = _measured(model, held_out, target[~in_train])
    marks.append(time.perf_counter())
    seconds = dict(zip(("ExampleGen", "Transform", "Trainer", "Evaluator"), np.diff(marks).tolist(), strict=True))
    report = {
        "import_seconds": marks[0] - began,
        "seconds": marks[-1] - marks[0],
        "nodes": seconds,
        "metrics": metrics["overall"],
        "slices": len(metrics) - 1,
    }
    out.write_text(json.dumps(report, indent=2) + "\n")


def read(folder: Path) -> pa.Table:
    """All rows of the CSV files of a folder."""
    from pyarrow import csv

    text = csv.ConvertOptions(column_types=dict.fromkeys(_WORDS, pa.string()))
    return pa.concat_tables(
        [csv.read_csv(file, convert_options=text) for file in sorted(folder.glob("*.csv"))],
        promote_options="permissive",
    )


def prepared(table: pa.Table, in_train: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The features of all rows, made by what the training rows know, and whether the tip was above a fifth of the fare.

    Returns:
      `numbers`, float32 [rows, 3], standardised logarithms; `codes`, int32 [rows, 9], each column with its own range.
      The target, float32 [rows].
    """
    logs, codes = [], []
    for name in _LOGS:
        values = _numbers(table, name)
        logged = np.log1p(np.where(np.isnan(values), np.nanmedian(values[in_train]), values).clip(0))
        logs.append((logged - logged[in_train].mean()) / logged[in_train].std())
    for name in _BUCKETS:
        values = _numbers(table, name)
        bounds = np.nanquantile(values[in_train], np.linspace(0, 1, _QUANTILES + 1)[1:-1])
        codes.append(np.where(np.isnan(values), _QUANTILES, np.searchsorted(bounds, values)))
    for name, size in _WORDS.items():
        encoded = table[name].combine_chunks().fill_null("").dictionary_encode()
        positions = np.asarray(encoded.indices)
        often = np.argsort(-np.bincount(positions[in_train], minlength=len(encoded.dictionary)), kind="stable")
        ranks = np.empty(len(often), np.int64)
        ranks[often] = np.arange(len(often))
        codes.append(np.minimum(ranks[positions], size - 1))
    for name, size in _CODES.items():
        codes.append(np.nan_to_num(_numbers(table, name)).clip(0, size - 1))
    target = _numbers(table, "tips") > 0.2 * _numbers(table, "fare")
    columns = {"numbers": np.stack(logs, 1).astype(np.float32), "codes": np.stack(codes, 1).astype(np.int32)}
    return columns, target.astype(np.float32)


def wide_deep() -> Any:
    """The task's model: one weight for each code, and four dense layers over numbers and codes."""
    import keras

    sizes = [*[_QUANTILES + 1] * len(_BUCKETS), *_WORDS.values(), *_CODES.values()]
    numbers = keras.Input((len(_LOGS),), name="numbers")
    codes = keras.Input((len(sizes),), dtype="int32", name="codes")
    one_hot = keras.layers.Concatenate()(
        [
            keras.layers.CategoryEncoding(size, output_mode="one_hot")(codes[:, place : place + 1])
            for place, size in enumerate(sizes)
        ]
    )
    deep = keras.layers.Concatenate()([numbers, one_hot])
    for units in _HIDDEN:
        deep = keras.layers.Dense(units, activation="relu")(deep)
    both = keras.layers.Concatenate()([deep, one_hot])
    return keras.Model({"numbers": numbers, "codes": codes}, keras.layers.Dense(1, activation="sigmoid")(both))


def _fit(
    model: Any, columns: dict[str, np.ndarray], target: np.ndarray, steps: int, batch_size: int, seed: int
) -> None:
    """Trains on `steps` batches of rows drawn by chance."""
    model.compile("adam", "binary_crossentropy")
    drawn = np.random.default_rng(seed).integers(0, len(target), steps * batch_size)
    rows = {name: values[drawn] for name, values in columns.items()}
    model.fit(rows, target[drawn], batch_size=batch_size, shuffle=False, verbose=0)


def _measured(model: Any, columns: dict[str, np.ndarray], target: np.ndarray) -> dict[str, dict[str, float]]:
    """Metrics over all rows, and by hour."""
    from sklearn.metrics import roc_auc_score

    answers = model.predict(columns, batch_size=_AT_ONCE, verbose=0).reshape(-1)
    hours = columns["codes"][:, -len(_CODES)]
    found = {}
    for name, chosen in (("overall", slice(None)), *((str(hour), hours == hour) for hour in np.unique(hours))):
        own, said = target[chosen], answers[chosen]
        both_kinds = 0 < own.sum() < len(own)
        found[name] = {
            "auc": float(roc_auc_score(own, said)) if both_kinds else float("nan"),
            "binary_accuracy": float(((said > 0.5) == (own > 0.5)).mean()),
            "example_count": float(len(own)),
        }
    return found


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column as float64, NaN where missing."""
    return np.asarray(table[name].cast(pa.float64()).combine_chunks().fill_null(float("nan")))


if __name__ == "__main__":
    typer.run(main)
