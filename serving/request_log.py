"""A log of a sample of the requests, as TFRecords of PredictionLog, for the skew check (docs/data_checks.md).

    DIR/requests-20260102T030405-4711-0.tfrecord

A request is offered by the event loop and written by a thread of the log's. What the thread can't keep up with, and
what the disk does not take, is dropped and counted: no answer ever waits for a disk.
"""

import logging
import queue
import random
import threading
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving import tensors
from serving.lanes import size_of
from serving.log_files import LogFiles
from serving.metrics import Metrics
from serving.settings import LogSettings

_log = logging.getLogger(__name__)
_QUEUE = 1_000
_QUEUE_BYTES = 64 << 20
_LOOK_SECONDS = 1.0
_Entry = tuple[str, int, str, Mapping[str, np.ndarray], Mapping[str, np.ndarray], int]


class RequestLog:
    """Logs some of what it is offered."""

    def __init__(self, settings: LogSettings, metrics: Metrics) -> None:
        """Makes the folder and begins.

        Args:
          settings: where, how many, without what.
          metrics: told of what was logged and what was dropped.

        Raises:
          OSError: the folder can't be made or read.
        """
        self._settings = settings
        self._metrics = metrics
        self._redact = frozenset(settings.redact)
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued = 0
        self._draw = random.Random().random  # noqa: S311 -- draws a sample, not a secret
        self._files = LogFiles(settings.folder, settings.max_mb)
        self._thread = threading.Thread(target=self._serve, name="request-log", daemon=True)
        self._thread.start()

    def offer(
        self,
        model: str,
        version: int,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        answers: Mapping[str, np.ndarray],
    ) -> None:
        """Logs a request that was answered, if it is drawn; returns at once.

        Args:
          model: that answered.
          version: of it.
          signature: of it.
          inputs: the request's arrays; not changed by anybody any more.
          answers: likewise.
        """
        if self._draw() >= self._settings.rate:
            return
        size = size_of(inputs) + size_of(answers)
        with self._lock:
            dropped = self._queue.qsize() >= _QUEUE or self._queued + size > _QUEUE_BYTES
            if not dropped:
                self._queued += size
        if dropped:
            self._metrics.logged(False)
        else:
            self._queue.put((model, version, signature, inputs, answers, size))

    def close(self) -> None:
        """Writes what is queued, and completes the file."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        """The thread."""
        failed = False
        while True:
            try:
                entry = self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self._files.complete_if_old()
                continue
            if entry is None:
                break
            try:
                self._files.write(self._record(entry))
                failed = False
                self._metrics.logged(True)
            except Exception as error:  # A full disk must not end the log for good.
                if not failed:
                    _log.error("requests are not logged: %s", error)
                failed = True
                self._metrics.logged(False)
            with self._lock:
                self._queued -= entry[-1]
        self._files.complete()

    def _record(self, entry: _Entry) -> bytes:
        """A request and its answers as a serialised PredictionLog."""
        model, version, signature, inputs, answers, _ = entry
        log = prediction_log_pb2.PredictionLog()
        spec = log.log_metadata.model_spec
        spec.name, spec.signature_name, spec.version.value = model, signature, version
        log.log_metadata.sampling_config.sampling_rate = self._settings.rate
        log.predict_log.request.model_spec.CopyFrom(spec)
        log.predict_log.response.model_spec.CopyFrom(spec)
        for name, array in inputs.items():
            if name not in self._redact:
                tensors.encode(self._without_redacted(array), log.predict_log.request.inputs[name])
        for name, array in answers.items():
            if name not in self._redact:
                tensors.encode(array, log.predict_log.response.outputs[name])
        return log.SerializeToString()

    def _without_redacted(self, array: np.ndarray) -> np.ndarray:
        """Serialised tf.Examples without the features that are redacted; what is none of these is left as it is."""
        if array.dtype != object or not self._redact:
            return array
        kept = np.empty(array.shape, object)
        for place, value in np.ndenumerate(array):
            kept[place] = self._example(value)
        return kept

    def _example(self, value: bytes) -> bytes:
        example = tf.train.Example()
        try:
            example.ParseFromString(value)
        except Exception:  # DecodeError, of which protobuf has a class for each implementation.
            return value
        features = example.features.feature
        if not features:
            return value
        for name in self._redact:
            features.pop(name, None)
        return example.SerializeToString()
