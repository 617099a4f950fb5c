"""What many tests share: a transform graph from a few rows, and transformed rows on disk, by one small Beam run."""

import logging
import multiprocessing
import os
import runpy
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.expressions import Column
from pipeline.features import Bucketized, Categorical, Feature, Hashed, Numeric, Vocabulary
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Binary, Label
from pipeline.models.wide_deep import WideDeep
from pipeline.sources import Csv
from pipeline.task import Task
from pipeline.training import Adam, Training

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Row = Mapping[str, Any]
Analyse = Callable[[Sequence[Row], dict[str, Any], Callable[[dict[str, Any]], dict[str, Any]]], Any]


@dataclass(frozen=True)
class Transformed:
    """A small data set that went through TensorFlow Transform.

    Attributes:
      transform: TFT's output.
      raw: serialised raw tf.Examples, with the label.
      columns: transformed name -> array of shape [rows, 1].
      raw_files: the raw rows, as ExampleGen writes them.
      files: the transformed rows, as Transform writes them.
    """

    transform: Any
    raw: list[bytes]
    columns: dict[str, Any]
    raw_files: list[str]
    files: list[str]


@pytest.fixture(scope="session")
def example() -> Callable[[Row], bytes]:
    """A function: column -> value, values or None, to a serialised tf.Example."""
    import numpy as np
    import tensorflow as tf

    def serialise(row: Row) -> bytes:
        features = {}
        for name, value in row.items():
            if value is None:
                continue
            values = value if isinstance(value, list | np.ndarray) else [value]
            if isinstance(values[0], str | bytes):
                encoded_values = [v.encode() if isinstance(v, str) else v for v in values]
                features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded_values))
            elif isinstance(values[0], int | np.integer):
                features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
            else:
                features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        encoded: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
        return encoded

    return serialise


@pytest.fixture(scope="session")
def analyse(tmp_path_factory: pytest.TempPathFactory) -> Analyse:
    """A function: rows, their feature spec and a preprocessing_fn, to TFT's output; a real analysis, in process."""
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    def run(rows: Sequence[Row], spec: dict[str, Any], preprocessing_fn: Callable[..., dict[str, Any]]) -> Any:
        folder = str(tmp_path_factory.mktemp("transform") / "graph")
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        whole = [{name: row.get(name) for name in spec} for row in rows]
        with (
            beam.Pipeline(runner="FnApiRunner") as pipeline,
            tft_beam.Context(temp_dir=str(tmp_path_factory.mktemp("beam"))),
        ):
            data = pipeline | beam.Create(whole)
            graph = (data, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
            _ = graph | tft_beam.WriteTransformFn(folder)
            _ = metadata | tft_beam.WriteMetadata(f"{folder}/metadata", pipeline=pipeline)
        return tft.TFTransformOutput(folder)

    return run


@pytest.fixture(scope="session")
def transformed(
    analyse: Analyse, example: Callable[[Row], bytes], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Sequence[Row], dict[str, Any], tuple[Feature, ...], Label], Transformed]:
    """A function: rows, their feature spec, features and label, to the data set as a Trainer sees it."""
    import tensorflow as tf

    from pipeline.transform import preprocess

    def write(records: Sequence[bytes], file: Path) -> str:
        with tf.io.TFRecordWriter(str(file), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for record in records:
                writer.write(record)
        return str(file)

    def run(rows: Sequence[Row], spec: dict[str, Any], features: tuple[Feature, ...], label: Label) -> Transformed:
        transform = analyse(rows, spec, lambda inputs: preprocess(inputs, features, label))
        raw = [example(row) for row in rows]
        made = transform.transform_features_layer()(tf.io.parse_example(raw, spec))
        columns = {name: value.numpy() for name, value in made.items()}
        folder = tmp_path_factory.mktemp("examples")
        encoded = [example({name: column[i] for name, column in columns.items()}) for i in range(len(rows))]
        return Transformed(
            transform, raw, columns, [write(raw, folder / "raw.gz")], [write(encoded, folder / "transformed.gz")]
        )

    return run


@pytest.fixture
def forked(tmp_path: Path) -> Callable[..., int]:
    """A function: runs a script in a process of its own that has TensorFlow imported, and gives its exit code.

    The script finds what it is given as strings in its global `arguments`; what it prints goes to `forked.log` in `tmp_path`.
    All such processes are forks of one, so that TensorFlow is imported once.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.train.run", "components.tuner.search"])

    def run(script: Path, *arguments: object) -> int:
        given = {"script": str(script), "arguments": [str(argument) for argument in arguments]}
        log = str(tmp_path / "forked.log")
        # A function of the standard library: the process could not import one of a test.
        process = context.Process(target=runpy.run_path, args=(_FORKED, {**given, "log": log}, "__main__"))
        process.start()
        process.join()
        return process.exitcode or 0

    return run


_FORKED = str(Path(__file__).with_name("forked.py"))
ROWS = 300


@pytest.fixture(scope="session")
def tiny() -> Task:
    """A binary task with a feature of each kind."""
    return Task(
        name="tiny",
        question="Is the tip above a fifth of the fare?",
        source=Csv("unused.csv"),
        label=Binary.where("tips", greater_than=0.2 * Column("fare")),
        features=(
            Numeric("miles", missing="mean"),
            Bucketized("fare", buckets=4),
            Vocabulary("company", top_k=5, oov_buckets=2),
            Categorical("hour", size=24),
            Hashed("area", buckets=7),
        ),
        model=WideDeep(hidden_units=(8, 4), dropout=0.2, l2=1e-4),
        training=Training(steps=6, batch_size=32, validate_every=3, optimizer=Adam(0.01), seed=11),
        evaluation=Evaluation(metrics=("auc",), slices=("hour",), gates=(Gate("auc", at_least=0.5),)),
    )


@pytest.fixture(scope="session")
def tiny_spec() -> dict[str, Any]:
    """Column -> parsing spec of the tiny task's rows."""
    import tensorflow as tf

    kinds = {"miles": tf.float32, "fare": tf.float32, "tips": tf.float32, "company": tf.string}
    return {name: tf.io.VarLenFeature(kinds.get(name, tf.int64)) for name in (*kinds, "hour", "area")}


@pytest.fixture(scope="session")
def tiny_rows() -> list[dict[str, Any]]:
    """Rows with missing, unseen and odd values among them."""
    import numpy as np

    random = np.random.default_rng(3)
    rows: list[dict[str, Any]] = []
    for i in range(ROWS):
        fare = float(random.gamma(3.0, 5.0))
        rows.append(
            {
                "miles": None if i % 7 == 0 else float("nan") if i % 11 == 0 else fare / 3,
                "fare": None if i % 13 == 0 else fare,
                "tips": float(random.choice([0.0, 0.1, 0.25, 0.3]) * fare),
                "company": None if i % 5 == 0 else "" if i % 17 == 0 else str(random.choice(list("abcdefgh"))),
                "hour": None if i % 9 == 0 else int(random.integers(-1, 26)),
                "area": None if i % 10 == 0 else int(random.integers(0, 1000)),
            }
        )
    return rows


@pytest.fixture(scope="session")
def tiny_data(transformed: Callable[..., Any], tiny: Task, tiny_rows: Any, tiny_spec: Any) -> Any:
    """The rows, through TensorFlow Transform."""
    return transformed(tiny_rows, tiny_spec, tiny.features, tiny.label)


@pytest.fixture(scope="session")
def bucket_servers() -> Iterator[dict[str, dict[str, str]]]:
    """An S3 and a GCS server, over HTTP; for each the environment variables that lead to it."""
    from gcp_storage_emulator.server import create_server
    from moto.server import ThreadedMotoServer

    for name in ("werkzeug", "gcp_storage_emulator"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    google = create_server("127.0.0.1", port, in_memory=True, default_bucket="millrace-tests")
    amazon = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    google.start()
    amazon.start()
    keys = {name: "test" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    yield {
        "s3": {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{amazon.get_host_and_port()[1]}", **keys},
        "gs": {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"},
    }
    amazon.stop()
    google.stop()


@pytest.fixture(params=["s3", "gs"])
def bucket(
    request: pytest.FixtureRequest, bucket_servers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """An empty bucket's address, `s3://millrace-tests` and then `gs://millrace-tests`."""
    from pipeline.ingest import files

    for name, value in bucket_servers[request.param].items():
        monkeypatch.setenv(name, value)
    remote = files.filesystem(request.param)
    if request.param == "s3":
        remote.makedirs("millrace-tests", exist_ok=True)
    yield f"{request.param}://millrace-tests"
    found = remote.find("millrace-tests", withdirs=False)
    found += [name for name in remote.glob("millrace-tests/**/") if name not in found and remote.isfile(name)]
    for name in found:
        remote.rm_file(name)
