"""A SavedModel as the lower part: made on the fly, read from a folder, a bucket and a link."""

import http.server
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import MillraceError
from pipeline.features import Image, Numeric, RawText
from pipeline.ingest import files
from pipeline.models import starts
from pipeline.models.saved_model import SavedModelFeatures

TABLE = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 5.0]], np.float32)
REVIEW, PHOTO = RawText("review"), Image("photo", height=2, width=2, channels=1)


class Words(tf.Module):
    """Strings -> the row of a table for "good", for "bad", and for any other: by a hash table, and a variable."""

    def __init__(self) -> None:
        super().__init__()
        terms = tf.lookup.KeyValueTensorInitializer(["good", "bad"], tf.constant([0, 1], tf.int64))
        self.ids = tf.lookup.StaticHashTable(terms, 2)
        self.table = tf.Variable(TABLE, name="table/words")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.table, self.ids.lookup(texts))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def both(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors = self(texts)
        return {"vector": vectors, "twice": 2 * vectors}


class Pixels(tf.Module):
    """Images of 4x4 -> the mean of each channel, and the largest."""

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 1], tf.float32)])
    def measure(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": tf.reduce_mean(image, [1, 2]), "whole": image}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("words") / "model")
    module = Words()
    tf.saved_model.save(module, path, signatures={"pair": module.both})
    return path


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("pixels") / "model")
    module = Pixels()
    tf.saved_model.save(module, path, signatures=module.measure)
    return path


def summed(model: keras.Model) -> keras.Model:
    """With a head that adds everything up."""
    head = model.get_layer("scores")
    head.set_weights([np.ones(head.kernel.shape), np.zeros(head.bias.shape)])
    return model


TEXTS = {"review_xf": np.array([["good"], ["bad"], [""]], object)}


def test_strings_are_answered_as_the_saved_model_does_and_its_variables_stay(
    words: str, build: Any, fit: Any, served: Any
) -> None:
    family = SavedModelFeatures(path=words)
    family.prepare()
    model = build(family, [REVIEW])
    np.testing.assert_allclose(summed(model)(_tensors(TEXTS))[:, 0], TABLE.sum(1))
    assert {variable.path for variable in model.trainable_variables} == {"scores/kernel", "scores/bias"}
    losses = fit(family, model, TEXTS, np.array([1, 0, 0]), rate=0.1)
    assert losses[-1] < 0.5 * losses[0]
    reloaded = model.get_layer("review_xf_saved_model")
    np.testing.assert_array_equal(reloaded.weights[0], TABLE)
    np.testing.assert_allclose(served(model, TEXTS), model(_tensors(TEXTS)), rtol=1e-5, atol=1e-5)


def _tensors(columns: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(values.tolist()) for name, values in columns.items()}


def test_trained_too_and_served_with_what_it_became(words: str, build: Any, fit: Any, served: Any) -> None:
    family = SavedModelFeatures(path=words, trainable=True, hidden_units=(4,))
    model = build(family, [REVIEW])
    fit(family, model, TEXTS, np.array([1, 0, 0]), rate=0.1, steps=5)
    table = np.array(model.get_layer("review_xf_saved_model").weights[0])
    assert np.all(table != TABLE)
    np.testing.assert_allclose(served(model, TEXTS), model(_tensors(TEXTS)), rtol=1e-5, atol=1e-5)


def test_a_signature_and_one_of_its_outputs_with_other_features(words: str, build: Any) -> None:
    family = SavedModelFeatures(path=words, endpoint="pair", output="twice")
    model = summed(build(family, [REVIEW, Numeric("stars")]))
    columns = {**_tensors(TEXTS), "stars_xf": tf.constant([[10.0], [20.0], [30.0]])}
    np.testing.assert_allclose(model(columns)[:, 0], 2 * TABLE.sum(1) + [10, 20, 30])


def test_images_are_scaled_and_resized(pixels: str, build: Any, served: Any) -> None:
    family = SavedModelFeatures(path=pixels, output="mean", size=4)
    model = summed(build(family, [PHOTO]))
    columns = {"photo_xf": np.array([[0, 0, 255, 255], [51, 51, 51, 51]], np.uint8).reshape(2, 2, 2, 1)}
    np.testing.assert_allclose(model(columns)[:, 0], [0.5, 0.2], rtol=1e-5)
    np.testing.assert_allclose(served(model, columns)[:, 0], [0.5, 0.2], rtol=1e-5)
    flat = build(SavedModelFeatures(path=pixels, output="whole", size=4), [PHOTO])
    assert flat.get_layer("scores").kernel.shape == (16, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "embed"}, "The endpoint 'embed' is neither an attribute"),
        ({"endpoint": "pair"}, "expected one output, or its name as output. Received: twice, vector"),
        ({"endpoint": "pair", "output": "thrice"}, "no output 'thrice'. Received: twice, vector"),
    ],
)
def test_an_endpoint_or_output_that_is_not_there(words: str, build: Any, settings: Any, message: str) -> None:
    with pytest.raises(MillraceError) as caught:
        build(SavedModelFeatures(path=words, **settings), [REVIEW])
    assert message in str(caught.value)


def test_what_it_does_not_take(words: str, pixels: str, build: Any, tmp_path: Path) -> None:
    with pytest.raises(MillraceError, match=r"does not take 'photo' \(image, \(2, 2, 1\)\)"):
        build(SavedModelFeatures(path=pixels, output="mean"), [PHOTO])
    with pytest.raises(MillraceError, match=r"holds no saved_model.pb. Expected a SavedModel's folder"):
        SavedModelFeatures(path=str(tmp_path)).prepare()
    with pytest.raises(MillraceError, match="nowhere: no such file or folder"):
        SavedModelFeatures(path=str(tmp_path / "nowhere")).prepare()
    (tmp_path / "saved_model.pb").write_bytes(b"no proto")
    with pytest.raises(MillraceError, match=f"SavedModelFeatures: {tmp_path}: "):
        SavedModelFeatures(path=str(tmp_path)).prepare()
    assert SavedModelFeatures(path=words).problems([REVIEW, PHOTO]) == [
        "model SavedModelFeatures: one SavedModel reads texts or images. Received: both"
    ]


def test_from_a_bucket_it_is_fetched_once_and_again_when_it_changes(
    words: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    remote = files.filesystem(files.scheme(bucket))
    for file in Path(words).rglob("*"):
        if file.is_file():
            remote.pipe_file(f"{bucket.partition('://')[2]}/words/{file.relative_to(words)}", file.read_bytes())
    family = SavedModelFeatures(path=f"{bucket}/words")
    first = family.origin
    family.prepare()
    folder = starts.local(family.path)
    assert folder.is_relative_to(tmp_path) and (folder / "variables" / "variables.index").exists()
    moment = folder.stat().st_mtime_ns
    assert starts.local(family.path) == folder and folder.stat().st_mtime_ns == moment
    remote.pipe_file(f"{bucket.partition('://')[2]}/words/assets/more", b"x")
    assert family.origin != first
    assert starts.local(family.path) != folder
    with pytest.raises(MillraceError, match="no such file or folder"):
        starts.local(f"{bucket}/nowhere")


@pytest.fixture
def server(words: str, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server of the SavedModel's archive: its address, and the paths that were asked for."""
    archive, asked = tmp_path / "words.tar.gz", []
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(words, arcname=".")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = archive.read_bytes() if "words" in self.path else b""
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *values: Any) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


def test_from_a_link_it_is_fetched_once(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = server
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    family = SavedModelFeatures(path=f"{address}/words.tar.gz")
    family.prepare()
    family.prepare()
    assert asked == ["/words.tar.gz"]
    monkeypatch.setattr(starts, "_HUB", "127.0.0.1")
    assert (starts.local(f"{address}/words/1") / "saved_model.pb").exists()
    assert asked[1:] == ["/words/1?tf-hub-format=compressed"]
    with pytest.raises(MillraceError, match="can't be fetched: HTTPError: HTTP Error 404"):
        starts.local(f"{address}/other.tar.gz")
    assert sorted(path.name for path in (tmp_path / "keras" / "millrace").iterdir()) == sorted(
        {starts.local(each).parent.name for each in (family.path, f"{address}/words/1")}
    )


def test_a_handle_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(MillraceError) as caught:
        SavedModelFeatures(path="https://127.0.0.1:9/nnlm/2.tar.gz").prepare()
    message = str(caught.value)
    assert "https://127.0.0.1:9/nnlm/2.tar.gz: can't be fetched: URLError" in message and "refused" in message
    assert f"Looked first in {tmp_path}/millrace" in message and "name the local path" in message
    with pytest.raises(MillraceError, match=r"ftp:// can't be read. Expected a local path, s3://, gs:// or https://"):
        SavedModelFeatures(path="ftp://host/model").prepare()
