"""What clients of the served model would notice of another."""

from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.push import contract


def saved(folder: Path, inputs: dict[str, tf.DType], output: str = "probability", extra: str | None = None) -> Path:
    """A model with the signatures `columns`, `labels` and, if named, one more."""

    def answer(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            output: tf.add_n(
                [tf.cast(tf.strings.length(tf.strings.as_string(c)), tf.float32) for c in columns.values()]
            )
        }

    specs = {name: tf.TensorSpec([None], dtype, name) for name, dtype in inputs.items()}
    module = tf.Module()
    one = tf.function(answer).get_concrete_function(**specs)
    other = tf.function(lambda x: {"label": x}).get_concrete_function(x=tf.TensorSpec([len(inputs)], tf.float32, "x"))
    signatures = {"columns": one, "labels": other, **({extra: one} if extra else {})}
    tf.saved_model.save(module, str(folder), signatures)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("served") / "17", {"fare": tf.float32, "hour": tf.int64})


def test_the_same_signatures_change_nothing(served: Path, tmp_path: Path) -> None:
    same = saved(tmp_path / "1", {"fare": tf.float32, "hour": tf.int64}, extra="another")
    assert contract.changes(served, same) == []
    assert contract.refusal(served, same) is None


def test_each_change_is_named(served: Path, tmp_path: Path) -> None:
    other = saved(tmp_path / "1", {"fare": tf.int64, "company": tf.int64, "tolls": tf.int64}, output="score")
    assert contract.changes(served, other) == [
        "signature 'columns': input 'company' is new",
        "signature 'columns': input 'fare' is int64 [?], was float32 [?]",
        "signature 'columns': input 'hour' is gone",
        "signature 'columns': input 'tolls' is new",
        "signature 'columns': output 'probability' is gone",
        "signature 'columns': output 'score' is new",
    ]
    told = contract.refusal(served, other)
    assert told is not None
    assert told.startswith(
        "serving signature: not as in version 17, which is served: signature 'columns': input 'company'"
    )
    assert told.endswith("Next: tell them, then --set serving.signature_change=true")


def test_a_signature_that_is_gone(served: Path, tmp_path: Path) -> None:
    richer = saved(tmp_path / "1", {"fare": tf.float32, "hour": tf.int64}, extra="another")
    assert contract.changes(richer, served) == ["signature 'another' is gone"]
