"""The plain linear regression that a regression task has to beat, on exactly the rows of one of its runs.

    linear_errors(task, read_split(root, "train"), read_split(root, "eval"))    -> {"mae": …, "rmse": …}

It gets what the task gets, as an analyst would prepare it: numbers clipped as the task clips them, filled with the
median and standardised; bucketized numbers also as quantile bins; everything else one-hot. Those columns depend on one
another, so that plain least squares has no stable answer: on the taxi fares its error reached 10⁹ dollars. A ridge
penalty of 1 settles that; 0.1 and 10 in its place change the MAE by less than 0.5 %.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

from pipeline.features import Bucketized, Numeric
from pipeline.labels import Regression
from pipeline.task import Task


def read_split(root: Path, split: str) -> pd.DataFrame:
    """The rows that a run's ExampleGen put into a split; a missing value is None or NaN.

    Args:
        root: the run's `--root`, holding one task with one run.
        split: "train" or "eval".

    Raises:
        FileNotFoundError: there is no such split, or more than one.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it tells of the GPUs that are not there
    import tensorflow as tf

    folders = [found for found in root.rglob(f"Split-{split}") if "ExampleGen" in found.parts]
    if len(folders) != 1:
        raise FileNotFoundError(f"expected one ExampleGen split {split!r} below {root}. Received: {len(folders)}")
    files = sorted(str(file) for file in folders[0].iterdir() if file.is_file())
    records = tf.data.TFRecordDataset(files, "GZIP" if files[0].endswith(".gz") else "")
    return pd.DataFrame([_row(record) for record in records.as_numpy_iterator()])


def linear_errors(task: Task, train: pd.DataFrame, evaluation: pd.DataFrame) -> dict[str, float]:
    """Fits on one split and measures on the other.

    Args:
        task: a regression task; its features and its label's clip are used.
        train: rows to fit on.
        evaluation: rows to measure on.

    Returns:
        `mae` and `rmse` in the label's unit, and `example_count`.

    Raises:
        TypeError: the task is not a regression.
    """
    if not isinstance(task.label, Regression):
        raise TypeError(f"task {task.name!r}: expected a Regression label. Received: label={task.label!r}")
    numbers = [feature.name for feature in task.features if isinstance(feature, Numeric | Bucketized)]
    binned = {feature.name: feature.intervals for feature in task.features if isinstance(feature, Bucketized)}
    terms = [feature.name for feature in task.features if feature.name not in numbers]
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", scaled, numbers),
            *((f"bins_{name}", _bins(intervals), [name]) for name, intervals in binned.items()),
            ("terms", OneHotEncoder(handle_unknown="ignore"), terms),
        ],
    )
    model = make_pipeline(columns, Ridge(alpha=1.0))
    with warnings.catch_warnings():  # ties among the quantiles leave fewer bins than asked for
        warnings.filterwarnings("ignore", "Bins whose width are too small")
        model.fit(_inputs(task, train, numbers, terms), _target(task.label, train))
    error = model.predict(_inputs(task, evaluation, numbers, terms)) - _target(task.label, evaluation)
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "example_count": float(len(evaluation)),
    }


def _bins(intervals: int) -> Pipeline:
    discretizer = KBinsDiscretizer(intervals, encode="onehot", strategy="quantile", subsample=None)
    return make_pipeline(SimpleImputer(strategy="median"), discretizer)


def _inputs(task: Task, rows: pd.DataFrame, numbers: list[str], terms: list[str]) -> pd.DataFrame:
    """The task's columns: numbers as float64, clipped as the task clips them; the others as text."""
    inputs = rows.reindex(columns=[*numbers, *terms]).copy()
    inputs[numbers] = inputs[numbers].astype("float64")
    inputs[terms] = inputs[terms].map(_term)
    for feature in task.features:
        if isinstance(feature, Numeric) and feature.clip is not None:
            inputs[feature.name] = inputs[feature.name].clip(*feature.clip)
    return inputs


def _term(value: object) -> str:
    """A value as text. Pandas makes floats of integers where one is missing: 8.0 of one split is 8 of another."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _target(label: Regression, rows: pd.DataFrame) -> np.ndarray:
    target: np.ndarray = rows[label.name].to_numpy(dtype=np.float64)
    return np.clip(target, *label.clip) if label.clip else target


def _row(record: bytes) -> dict[str, object]:
    """A serialised tf.Example as column -> its one value; an absent or empty column is left out."""
    import tensorflow as tf

    found: dict[str, object] = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value if kind else ()
        if values:
            found[name] = values[0].decode() if isinstance(values[0], bytes) else values[0]
    return found
