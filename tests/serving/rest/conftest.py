"""A toy model, and a REST server of it in a thread."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from serving.manager import Manager
from serving.metrics import Metrics
from serving.rest.app import build
from serving.rest.protocol import Protocol
from serving.settings import Limits, ModelConfig, Settings, VersionPolicy


@dataclass(frozen=True)
class Rest:
    """A server that runs.

    Attributes:
      port: where it listens, on 127.0.0.1.
      client: an HTTP client of it.
      manager: its models.
    """

    port: int
    client: httpx.Client
    manager: Manager

    def call(self, verb: str, body, model: str = "toy", **headers: str) -> httpx.Response:
        """POSTs JSON, or bytes as they are."""
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.post(f"/v1/models/{model}:{verb}", headers=headers, **content)

    def predict(self, body, model: str = "toy") -> httpx.Response:
        """Asks."""
        return self.call("predict", body, model)


@pytest.fixture(scope="session")
def toys(tmp_path_factory) -> Path:
    """Folder of the toy model's versions 1, 2 and 3; `half` of version N adds N."""
    base = tmp_path_factory.mktemp("toys")
    for version in (1, 2, 3):
        _save(base / str(version), float(version))
    return base


def _save(path: Path, plus: float) -> None:
    import tensorflow as tf

    floats, texts = tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([None], tf.string, name="inputs")

    def half(x):
        return {"y": x / 2 + plus}

    def mixed(a, b):
        return {"a": a, "b": b, "b_bytes": b}

    def fails(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 10.0, message="too large")]):
            return {"y": tf.identity(x)}

    def joint(a, b):
        return {"y": a + b}

    def slow(steps):
        return {
            "y": tf.while_loop(
                lambda at: tf.reduce_any(at < steps), lambda at: (tf.minimum(at + 1, steps),), (steps * 0,)
            )[0]
        }

    def images(photo):
        pixels = tf.map_fn(lambda one: tf.shape(tf.io.decode_png(one))[0], photo, fn_output_signature=tf.int32)
        return {"height": pixels}

    def parsed(inputs):
        return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]

    def regress(inputs):
        return {"outputs": parsed(inputs) / 2 + plus}

    def classify(inputs):
        x = parsed(inputs)
        return {
            "classes": tf.tile([["low", "high"]], [tf.size(x), 1]),
            "scores": tf.stack([1 - x, x], axis=1),
        }

    functions = {
        "serving_default": (half, floats),
        "mixed": (mixed, tf.TensorSpec([None, 2], tf.float32, name="a"), tf.TensorSpec([None], tf.string, name="b")),
        "fails": (fails, floats),
        "joint": (joint, tf.TensorSpec([None], tf.float32, name="a"), tf.TensorSpec([None], tf.float32, name="b")),
        "slow": (slow, tf.TensorSpec([None], tf.int32, name="steps")),
        "images": (images, tf.TensorSpec([None], tf.string, name="photo")),
        "regress": (regress, texts),
        "classify": (classify, texts),
    }
    module = tf.Module()
    signatures = {
        name: tf.function(function, autograph=False).get_concrete_function(*specs)
        for name, (function, *specs) in functions.items()
    }
    tf.saved_model.save(module, str(path), signatures=signatures)


@pytest.fixture(scope="session")
def serve(toys) -> Iterator[Callable[..., contextlib.AbstractContextManager[Rest]]]:
    """A function: settings beyond the model -> a context with a server."""
    toy = ModelConfig("toy", str(toys), VersionPolicy("specific", versions=(1, 2)), {"stable": 1})

    @contextlib.contextmanager
    def run(**settings) -> Iterator[Rest]:
        metrics = Metrics()
        asked = Settings(**{"models": (toy,), "poll_seconds": 0.0} | settings)
        manager = Manager(asked, metrics, None)
        manager.start()
        config = uvicorn.Config(
            build(manager, asked, metrics), lifespan="off", log_level="error", http=Protocol, loop="uvloop"
        )
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                yield Rest(port, client, manager)
        finally:
            server.should_exit = True
            thread.join()
            manager.stop()

    yield run


@pytest.fixture(scope="session")
def rest(serve) -> Iterator[Rest]:
    """A server with the defaults, but bodies of 1 MiB at most."""
    with serve(limits=Limits(body_mb=1)) as running:
        yield running
