"""The linear baseline on a fare that is linear by construction."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.linear import linear_errors, read_split
from pipeline.features import Bucketized, Categorical, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, Regression
from pipeline.models.linear import Linear
from pipeline.sources import Csv
from pipeline.task import Task


def fares(label: Regression | Binary) -> Task:
    return Task(
        name="fares",
        question="What will the trip cost?",
        source=Csv("trips.csv"),
        label=label,
        features=(
            Numeric("miles", clip=(0.0, 50.0)),
            Categorical("hour", size=24),
            Vocabulary("company"),
        ),
        model=Linear(),
        evaluation=Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=100.0),)),
    )


def trips(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    miles = random.uniform(0, 60, rows)
    hour = random.integers(0, 24, rows)
    company = random.choice(np.array(["Flash", "Blue", None], dtype=object), rows)
    night = np.where(hour < 6, 2.0, 0.0)
    fare = 3.0 + 2.0 * np.minimum(miles, 50.0) + night + np.where(company == "Blue", 1.0, 0.0)
    return pd.DataFrame({"miles": miles, "hour": hour, "company": company, "fare": fare})


def test_linear_data_is_fitted() -> None:
    # Fares go from 3 to 106 dollars; only the ridge penalty keeps the errors above 0.
    errors = linear_errors(fares(Regression("fare")), trips(600, 0), trips(200, 1))
    assert errors["mae"] < 0.1
    assert errors["rmse"] < 0.1
    assert errors["example_count"] == 200


def test_columns_that_depend_on_one_another_do_no_harm() -> None:
    train, evaluation = trips(600, 0), trips(200, 1)
    for rows in (train, evaluation):
        rows["miles_again"] = rows["miles"] * 1.609 + 1e-9 * rows["hour"]
    task = fares(Regression("fare"))
    doubled = dataclasses.replace(task, features=(*task.features, Bucketized("miles_again", buckets=10)))
    assert linear_errors(doubled, train, evaluation)["rmse"] < 1.0


def test_codes_are_the_same_where_another_split_misses_one() -> None:
    train, evaluation = trips(600, 0), trips(200, 1)
    train["hour"] = train["hour"].astype(float)
    train.loc[0, "hour"] = np.nan
    assert linear_errors(fares(Regression("fare")), train, evaluation)["mae"] < 0.1


def test_the_labels_clip_is_used_on_both_splits() -> None:
    train, evaluation = trips(600, 0), trips(200, 1)
    train["fare"], evaluation["fare"] = 7.0, 12.0
    errors = linear_errors(fares(Regression("fare", clip=(0.0, 10.0))), train, evaluation)
    assert errors["mae"] == pytest.approx(3.0)


def test_a_classifier_is_refused() -> None:
    with pytest.raises(TypeError, match="task 'fares': expected a Regression label"):
        linear_errors(fares(Binary("fare")), trips(10, 0), trips(10, 1))


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected one ExampleGen split 'train'"):
        read_split(tmp_path, "train")


def test_rows_of_a_split_are_read_back(tmp_path: Path) -> None:
    import tensorflow as tf

    split = tmp_path / "fares" / "artifacts" / "ExampleGen" / "examples" / "1" / "Split-eval"
    split.mkdir(parents=True)
    features = {
        "fare": tf.train.Feature(float_list=tf.train.FloatList(value=[12.5])),
        "hour": tf.train.Feature(int64_list=tf.train.Int64List(value=[9])),
        "company": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"Flash Cab"])),
        "miles": tf.train.Feature(),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(split / "data.gz"), "GZIP") as writer:
        writer.write(example.SerializeToString())
    assert read_split(tmp_path, "eval").to_dict("records") == [{"fare": 12.5, "hour": 9, "company": "Flash Cab"}]
