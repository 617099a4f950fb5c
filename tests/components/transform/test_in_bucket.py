"""Rows in a bucket, for workers that reach no folder of the launching process: the same bytes as with all of it local."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_transform as tft
from stored import content
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from components import by_shard
from components.transform import phases
from components.transform.executor import Executor
from pipeline.errors import DataBlocked
from pipeline.ingest import columnar
from pipeline.remote import transfer
from pipeline.transform import preprocessing_fn

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
SCHEMA: schema_pb2.Schema = schema_utils.schema_from_feature_spec(
    {"text": tf.io.VarLenFeature(tf.string), "label": tf.io.VarLenFeature(tf.int64)}
)
ROWS = [{"text": f"a {('good', 'bad', 'dull')[i % 3]} film {i % 7}", "label": i % 2} for i in range(60)]
SPLITS = {"train": [ROWS[:20], ROWS[20:40]], "eval": [ROWS[40:]]}
REVIEWS = functools.partial(preprocessing_fn, custom_config={"task": "movie_reviews", "overrides": []})


def by_tft_alone(inputs: dict[str, Any]) -> dict[str, Any]:
    """A vocabulary by mutual information is none of the operations that we run."""
    text, label = (tf.sparse.to_dense(inputs[name])[:, 0] for name in ("text", "label"))
    return {"label": label, "ids": tft.compute_and_apply_vocabulary(text, labels=label, use_adjusted_mutual_info=True)}


class Workers(by_shard.Workers):
    """Notes what is sent."""

    sent: list[str] = []  # noqa: RUF012

    def each(self, name: str, function: Any, items: Sequence[Any], form: by_shard.Form[Any]) -> Iterator[Any]:
        self.sent.append(repr((self._folder, function, items)))
        return super().each(name, function, items, form)


@pytest.fixture(autouse=True)
def as_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No function that this process has traced is at hand, and what is sent is noted."""
    monkeypatch.setattr(phases, "_made", {})
    monkeypatch.setattr(phases.Phase, "is_traced", lambda *_: None)
    monkeypatch.setattr(Workers, "sent", [])
    monkeypatch.setattr(by_shard, "Workers", Workers)
    monkeypatch.setattr(phases, "_folders", [])


@pytest.fixture
def stored(write_examples: Callable[..., Any], bucket: str, tmp_path: Path) -> Callable[..., Any]:
    """A function: the rows as an Examples artifact of this machine, and the same in a bucket; with columns or without."""

    def write(columns: bool) -> tuple[Any, Any]:
        artifacts = [
            write_examples(tmp_path / name / "examples", SPLITS, SCHEMA if columns else None) for name in ("one", "two")
        ]
        artifacts[1].uri = f"{bucket}/runs/examples"
        transfer.upload(tmp_path / "two" / "examples", artifacts[1].uri)
        return artifacts[0], artifacts[1]

    return write


def transformed(folder: Path, url: str) -> dict[str, bytes]:
    """The files of transformed rows in a bucket, by their names below its folder."""
    transfer.download(url, folder)
    return files_in(folder)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): content(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("columns", [True, False])
def test_workers_write_in_the_bucket_what_threads_write_here(
    columns: bool, stored: Callable[..., Any], transform: Callable[..., Any], bucket: str, tmp_path: Path
) -> None:
    here, there = stored(columns)
    local = transform(Executor, here, SCHEMA, REVIEWS, tmp_path / "local")
    url = f"{bucket}/runs/transformed"
    remote = transform(Executor, there, SCHEMA, REVIEWS, tmp_path / "remote", RUNNER, rows_to=url)
    assert remote.vocabularies() == local.vocabularies() != {}
    found = transformed(tmp_path / "found", url)
    assert sorted(found) == [
        "Split-eval/transformed_examples-00000-of-00001.gz",
        "Split-train/transformed_examples-00000-of-00002.gz",
        "Split-train/transformed_examples-00001-of-00002.gz",
    ]
    assert found == files_in(local.examples)
    assert len(Workers.sent) == 2
    assert [sent for sent in Workers.sent if str(tmp_path) in sent] == []
    assert "vocab" in Workers.sent[1]


def test_what_only_tft_can_analyse_is_analysed_here_and_transformed_by_workers(
    stored: Callable[..., Any], transform: Callable[..., Any], bucket: str, tmp_path: Path
) -> None:
    here, there = stored(True)
    local = transform(Executor, here, SCHEMA, by_tft_alone, tmp_path / "local")
    url = f"{bucket}/runs/transformed"
    remote = transform(Executor, there, SCHEMA, by_tft_alone, tmp_path / "remote", RUNNER, rows_to=url)
    assert remote.vocabularies() == local.vocabularies() != {}
    assert transformed(tmp_path / "found", url) == files_in(local.examples)
    assert there.uri == f"{bucket}/runs/examples"
    assert [sent for sent in Workers.sent if str(tmp_path) in sent] == []


def test_a_damaged_shard_is_told_by_its_own_name(
    stored: Callable[..., Any], transform: Callable[..., Any], bucket: str, tmp_path: Path
) -> None:
    _, there = stored(True)
    _, url = columnar.shards(there.uri, "train") or ("", "")
    transfer.write(url, b"no columns")
    with pytest.raises(DataBlocked, match=url):
        transform(Executor, there, SCHEMA, REVIEWS, tmp_path / "out", RUNNER, rows_to=f"{bucket}/runs/transformed")
    assert transfer.names(f"{bucket}/runs/transformed") == []
