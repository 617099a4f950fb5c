"""Batches: every row once an epoch, the same for a seed, from any step on, from memory as from files."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.features import Numeric
from pipeline.task import Task
from pipeline.train.batches import Files, Memory, Source, places, source
from pipeline.train.fit import Data
from pipeline.train.team import Share

Make = Callable[[Task], Source]
ALL = Share()


@pytest.fixture(params=["memory", "files"])
def make(request: pytest.FixtureRequest, data: Data) -> Make:
    """A function: the tiny rows as a source of each kind."""

    def memory(task: Task) -> Source:
        found = source(data.train_files, data.transform, task)
        assert isinstance(found, Memory)
        return found

    return memory if request.param == "memory" else lambda task: Files(tuple(data.train_files), data.transform, task)


def with_batches(task: Task, size: int) -> Task:
    return replace(task, training=replace(task.training, batch_size=size))


def rows_of(batches: tf.data.Dataset) -> list[tuple[float, ...]]:
    """A tuple of all values for each row."""
    found = []
    for inputs, target in batches.as_numpy_iterator():
        columns = [inputs[name] for name in sorted(inputs)] + [target]
        found += [tuple(row) for row in np.concatenate(columns, 1).tolist()]
    return found


@pytest.mark.parametrize("size", [32, 300, 700])
def test_every_epoch_has_every_row_once_in_an_order_of_its_own(
    tiny: Task, tiny_data: Any, make: Make, size: int
) -> None:
    names = sorted(feature.transformed for feature in tiny.features)
    columns = np.concatenate([tiny_data.columns[name] for name in names] + [tiny_data.columns["tips_label"]], 1)
    expected = Counter(tuple(row) for row in columns.astype(np.float64).tolist())
    steps = -(-900 // size)
    batches = make(with_batches(tiny, size)).batches(0, steps, ALL)
    assert [len(target) for _, target in batches] == [size] * steps
    received = rows_of(batches)
    epochs = [received[begin : begin + 300] for begin in (0, 300, 600)]
    for epoch in epochs:
        assert Counter(epoch) == expected
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_same_for_a_seed_and_another_for_another(tiny: Task, make: Make) -> None:
    first, again = (rows_of(make(tiny).batches(0, 12, ALL)) for _ in range(2))
    assert first == again
    other = replace(tiny, training=replace(tiny.training, seed=12))
    assert rows_of(make(other).batches(0, 12, ALL)) != first


def test_a_seed_of_0_is_one_like_others(tiny: Task, make: Make) -> None:
    task = replace(tiny, training=replace(tiny.training, seed=0))
    tf.random.set_seed(0)  # As a training sets it; TensorFlow then can't take another seed that is a tensor.
    try:
        first, again = (rows_of(make(task).batches(0, 10, ALL)) for _ in range(2))
    finally:
        tf.random.set_seed(tiny.training.seed)
    assert first == again
    assert first != rows_of(make(tiny).batches(0, 10, ALL))


@pytest.mark.parametrize("first", [1, 5, 9, 10, 19])
def test_it_can_begin_at_any_step(tiny: Task, make: Make, first: int) -> None:
    whole = rows_of(make(tiny).batches(0, 20, ALL))
    assert rows_of(make(tiny).batches(first, 20, ALL)) == whole[first * 32 :]


def test_parts_are_the_batch_together(tiny: Task, make: Make) -> None:
    task = with_batches(tiny, 31)
    whole = rows_of(make(task).batches(3, 4, ALL))
    parts = [rows_of(make(task).batches(3, 4, Share(index, 2))) for index in range(2)]
    assert [len(part) for part in parts] == [15, 16]
    assert parts[0] + parts[1] == whole


@dataclass(frozen=True)
class Noisy(Numeric):
    """Adds noise in training."""

    def augmented(self, values: Any, seed: Any) -> Any:
        return values + tf.random.stateless_normal(tf.shape(values), seed)


def test_augmentation_is_another_in_each_step_and_the_same_for_a_step(tiny: Task, make: Make) -> None:
    features = (Noisy("miles", missing="mean"), *tiny.features[1:])
    task = with_batches(replace(tiny, features=features), 300)
    steps = [np.array(rows_of(make(task).batches(step, step + 1, ALL))) for step in range(2)]
    plain = [np.array(rows_of(make(with_batches(tiny, 300)).batches(step, step + 1, ALL))) for step in range(2)]
    column = sorted(feature.transformed for feature in features).index("miles_xf")
    noise = [one[:, column] - other[:, column] for one, other in zip(steps, plain, strict=True)]
    assert 0.8 < np.std(noise[0]) < 1.2
    assert abs(noise[0] - noise[1]).max() > 0.1
    np.testing.assert_array_equal(rows_of(make(task).batches(1, 2, ALL)), steps[1])


def test_places_are_a_permutation_of_each_epoch() -> None:
    for rows in (1, 2, 7, 1000):
        found = places(tf.range(2 * rows, dtype=tf.int64), rows, 3).numpy()
        assert sorted(found[:rows]) == sorted(found[rows:]) == list(range(rows))


def test_rows_are_counted(tiny: Task, make: Make) -> None:
    assert make(tiny).rows == 300
