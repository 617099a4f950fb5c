import asyncio
import threading

import numpy as np
import tensorflow as tf

from pipeline.ingest.prediction_log_reader import read_prediction_log
from serving import log_files
from serving.log_files import LogFiles
from serving.manager import Manager
from serving.metrics import Metrics
from serving.request_log import RequestLog
from serving.settings import LogSettings, ModelConfig, Settings


def rows_of(folder):
    """All rows that the reader of logged requests finds."""
    rows = []
    for file in sorted(folder.glob("requests-*.tfrecord")):
        with file.open("rb") as stream:
            for batch in read_prediction_log(stream, str(file)):
                assert not batch.malformed
                rows += batch.columns.to_pylist()
    return rows


def dropped(metrics):
    return metrics.registry.get_sample_value(":millrace:serving:log_dropped_requests_total")


def test_the_skew_check_reads_what_a_server_logs(put, tmp_path):
    put(1)
    metrics, folder = Metrics(), tmp_path / "log"
    log = RequestLog(LogSettings(folder, rate=1.0), metrics)
    manager = Manager(Settings(models=(ModelConfig("half", str(tmp_path / "models/half")),)), metrics, log)
    manager.start()
    with manager.pinned("half") as servable:
        for values in ([1.0, np.nan], [3.0]):
            inputs = {"x": np.array(values, np.float32)}
            asyncio.run(servable.run(servable.signature(""), inputs))
    manager.stop()
    log.close()
    assert rows_of(folder) == [{"x": 1.0}, {"x": None}, {"x": 3.0}]


def test_redacted_columns_are_in_no_file(tmp_path, example):
    log = RequestLog(LogSettings(tmp_path, rate=1.0, redact=("name", "x")), Metrics())
    person = example({"name": "Ada", "age": 36})
    log.offer("m", 1, "serving_default", {"examples": np.array([person], object)}, {"x": np.zeros(1, np.float32)})
    columns = {"name": np.array([b"Ada"], object), "age": np.array([36], np.int64)}
    log.offer("m", 1, "columns", columns, {"y": np.zeros(1, np.float32)})
    log.close()
    assert rows_of(tmp_path) == [{"age": 36}, {"age": 36}]
    assert all(b"Ada" not in file.read_bytes() for file in tmp_path.iterdir())


def test_the_rate(tmp_path):
    log = RequestLog(LogSettings(tmp_path, rate=0.25), Metrics())
    for _ in range(400):
        log.offer("m", 1, "s", {"x": np.zeros(1, np.float32)}, {})
    log.close()
    assert 50 < len(rows_of(tmp_path)) < 160


def test_what_the_thread_cannot_keep_up_with_is_dropped(tmp_path, monkeypatch):
    metrics, go = Metrics(), threading.Event()
    monkeypatch.setattr(LogFiles, "write", lambda self, record: go.wait(20))
    log = RequestLog(LogSettings(tmp_path, rate=1.0), metrics)
    for _ in range(70):
        log.offer("m", 1, "s", {"x": np.zeros(1 << 18, np.float32)}, {})
    assert dropped(metrics) >= 5.0
    go.set()
    log.close()


def test_a_disk_that_takes_nothing_is_told_once_and_does_no_harm(tmp_path, monkeypatch, caplog):
    metrics = Metrics()

    def full(*args):
        raise tf.errors.ResourceExhaustedError(None, None, "no space left")

    monkeypatch.setattr(tf.io, "TFRecordWriter", full)
    log = RequestLog(LogSettings(tmp_path / "log", rate=1.0), metrics)
    for _ in range(3):
        log.offer("m", 1, "s", {"x": np.zeros(1, np.float32)}, {})
    log.close()
    assert dropped(metrics) == 3.0 and caplog.text.count("no space left") == 1


def test_files_rotate_and_the_oldest_go(tmp_path):
    files = LogFiles(tmp_path, max_mb=1)
    for _ in range(40):
        files.write(b"x" * 60_000)
    files.complete()
    sizes = [file.stat().st_size for file in tmp_path.glob("requests-*")]
    assert sum(sizes) <= 1 << 20 and all(size == 2 * 60_016 for size in sizes) and len(sizes) == 8


def test_a_file_is_completed_after_a_while(tmp_path, monkeypatch):
    files = LogFiles(tmp_path, max_mb=1)
    files.write(b"one")
    assert not list(tmp_path.glob("requests-*"))
    monkeypatch.setattr(log_files, "_AGE_SECONDS", 0.0)
    files.complete_if_old()
    assert len(list(tmp_path.glob("requests-*"))) == 1


def test_what_a_killed_server_left_is_completed(tmp_path):
    killed = tmp_path / ".requests-20260102T030405-999999999-0.tfrecord"
    with tf.io.TFRecordWriter(str(killed)) as writer:
        writer.write(b"whole")
        writer.write(b"cut off")
    killed.write_bytes(killed.read_bytes()[:-3])
    LogFiles(tmp_path, max_mb=1)
    (file,) = tmp_path.iterdir()
    assert file.name == killed.name[1:] and file.stat().st_size == len(b"whole") + 16
