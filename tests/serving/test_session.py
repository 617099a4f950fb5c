"""The session that answers: what it takes, and in which thread it runs."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from serving.errors import Code, ServingError
from serving.session import SessionModel


@pytest.fixture(scope="module")
def model(half_plus):
    loaded = SessionModel(half_plus / "1")
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def telling(tmp_path_factory):
    """A model whose answer is the thread that it ran in."""
    path = tmp_path_factory.mktemp("telling") / "1"
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        thread = tf.numpy_function(lambda _: np.int64(threading.get_ident()), [x], tf.int64)
        signature = v1.saved_model.build_signature_def(
            {"x": v1.saved_model.build_tensor_info(x)}, {"thread": v1.saved_model.build_tensor_info(thread)}
        )
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], {"serving_default": signature})
        builder.save()
        yield SessionModel(path)


def test_operations_run_in_the_thread_that_asks(telling):
    """TensorFlow has no public way to ask for it: should it ignore ours, serving gets ten times slower, and no more."""
    assert telling.run("serving_default", {"x": np.ones(1, np.float32)})["thread"] == threading.get_ident()


def test_lists_and_other_widths_are_taken_as_the_signature_has_them(model):
    for given in ([2.0, 4.0], (2, 4), np.array([2, 4], np.int64), np.array([2.0, 4.0])):
        assert model.run("serving_default", {"x": given})["y"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("kind", [list, lambda rows: np.array(rows, object)])
def test_bytes_are_taken_with_the_zeros_at_their_end(model, kind):
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    long = example.SerializeToString()
    example.features.feature["more"].bytes_list.value.append(b"\0\0")
    rows = kind([long, example.SerializeToString()])
    assert model.run("regress", {"inputs": rows})["outputs"].tolist() == [[2.0], [2.0]]


def test_what_the_graph_refuses_is_said_without_its_nodes(model):
    with pytest.raises(ServingError) as raised:
        model.run("picky", {"x": np.array([13.0], np.float32)})
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert raised.value.message.startswith("assertion failed: [13 is refused]")
    assert "[[" not in raised.value.message and "Graph execution error" not in raised.value.message
