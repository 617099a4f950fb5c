"""What is validated on: all rows or as many as asked, kept where they are small, the same with and without."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.labels import Scale
from pipeline.task import Task
from pipeline.train import validate
from pipeline.train.fit import Data
from pipeline.train.loop import scoring_model
from pipeline.train.validate import Rows, Validator


def with_rows(task: Task, most: int | None) -> Task:
    return replace(task, training=replace(task.training, validation_rows=most))


def count(rows: Rows) -> int:
    return sum(len(target) for _, target in rows)


@pytest.mark.parametrize(("most", "expected"), [(None, 300), (100, 100), (1000, 300)])
def test_as_many_rows_as_asked_and_the_same_each_time(tiny: Task, data: Data, most: int | None, expected: int) -> None:
    rows = Rows(data.eval_files, data.transform, with_rows(tiny, most))
    first, second = ([target.numpy() for _, target in rows] for _ in range(2))
    assert sum(map(len, first)) == expected
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))


def test_a_part_is_taken_of_each_shard(tiny: Task, data: Data, tmp_path: Any) -> None:
    rows = list(tf.data.TFRecordDataset(data.eval_files, compression_type="GZIP").as_numpy_iterator())
    for number in range(3):
        with tf.io.TFRecordWriter(
            str(tmp_path / f"{number}.gz"), tf.io.TFRecordOptions(compression_type="GZIP")
        ) as writer:
            for row in rows[number * 100 : (number + 1) * 100]:
                writer.write(row)
    found = Rows([f"{tmp_path}/*.gz"], data.transform, with_rows(tiny, 30))
    taken = np.concatenate([columns["miles_xf"].numpy() for columns, _ in found])
    everything = Rows(data.eval_files, data.transform, with_rows(tiny, None))
    miles = np.concatenate([columns["miles_xf"].numpy() for columns, _ in everything])
    chosen = [number * 100 + place for place in range(10) for number in range(3)]
    np.testing.assert_array_equal(taken, miles[chosen])


def test_rows_that_are_not_kept_give_the_same(tiny: Task, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    model = scoring_model(tiny)
    kept = Validator(model, tiny, Scale(), data.eval_files, data.transform)
    expected = [kept() for _ in range(2)]
    monkeypatch.setattr(validate, "_KEPT_BYTES", 100)
    read_anew = Validator(model, tiny, Scale(), data.eval_files, data.transform)
    assert [read_anew() for _ in range(2)] == expected
    assert read_anew._rows._kept.result() is None


def test_the_numbers_are_those_of_the_label_and_of_keras(tiny: Task, data: Data) -> None:
    model = scoring_model(tiny)
    found = Validator(model, tiny, Scale(), data.eval_files, data.transform)()
    ((columns, target),) = Rows(data.eval_files, data.transform, tiny)
    scores = model(columns, training=False)
    assert found["val_loss"] == pytest.approx(float(np.mean(tiny.label.losses(target, scores, Scale()))), rel=1e-6)
    for name, metric in tiny.label.metrics().items():
        metric.update_state(target, tf.reshape(tiny.label.answers(scores, Scale())["probability"], tf.shape(target)))
        assert found[f"val_{name}"] == pytest.approx(float(metric.result()), rel=1e-6)
