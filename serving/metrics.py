"""What the server counts and measures, for Prometheus, under TF Serving's names.

TF Serving's exporter writes `/tensorflow/serving/request_count` as `:tensorflow:serving:request_count`; times are in
microseconds, in buckets of 10 times 1.8 to the power of 0 to 32. What TF Serving has no name for begins with
`:millrace:`.
"""

import re
from collections.abc import Iterable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from serving.errors import Code

_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
_POWERS_OF_TWO = tuple(float(2**power) for power in range(15))
_UNKNOWN_MODEL = "unknown"
# The client library appends _total to every counter's name. TF Serving does not, save where the name has it.
_APPENDED = re.compile(rb"^((?:# (?:HELP|TYPE) )?:(?!tensorflow:serving:request_example_count_)[a-z_:]+)_total\b", re.M)


class Metrics:
    """All of them; any thread may count.

    A name of a model that comes from a request is only used where there is such a model, so that no request can make
    the list of metrics longer.
    """

    def __init__(self) -> None:
        """Everything at zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._models: frozenset[str] = frozenset()
        self._children: dict[tuple[Any, tuple[str, ...]], Any] = {}
        r = self.registry
        serving, loader, own = ":tensorflow:serving:", ":tensorflow:cc:saved_model:", ":millrace:serving:"
        by_call = ["model_name", "API"]
        self._requests = Counter(
            f"{serving}request_count", "The total number of requests.", ["model_name", "status"], registry=r
        )
        self._latency = Histogram(
            f"{serving}request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            [*by_call, "entrypoint"],
            buckets=_MICROSECONDS,
            registry=r,
        )
        self._runtime = Histogram(
            f"{serving}runtime_latency",
            "Distribution of wall time (in microseconds) for Tensorflow runtime.",
            [*by_call, "runtime"],
            buckets=_MICROSECONDS,
            registry=r,
        )
        self._examples = Histogram(
            f"{serving}request_example_counts",
            "The number of tensorflow.Examples per request.",
            ["model"],
            buckets=_POWERS_OF_TWO,
            registry=r,
        )
        self._example_total = Counter(
            f"{serving}request_example_count_total", "The total number of tensorflow.Examples.", ["model"], registry=r
        )
        self._batch_rows = Histogram(
            f"{serving}batching_session:processed_batch_size",
            "Rows that one run of a model had.",
            ["model_name"],
            buckets=_POWERS_OF_TWO,
            registry=r,
        )
        self._loads = Counter(
            f"{loader}load_attempt_count",
            "The number of times a SavedModel was requested to be loaded.",
            ["model_path", "status"],
            registry=r,
        )
        self._load_latency = Counter(
            f"{loader}load_latency",
            "Latency in microseconds for SavedModels that were successfully loaded.",
            ["model_path"],
            registry=r,
        )
        self._waiting = Gauge(f"{own}queue_length", "Requests that wait for a model.", ["model_name"], registry=r)
        self._logged = Counter(f"{own}logged_requests", "Requests in the log.", registry=r)
        self._not_logged = Counter(
            f"{own}log_dropped_requests", "Requests that were drawn for the log and did not get there.", registry=r
        )
        ProcessCollector(registry=r)

    def set_models(self, names: Iterable[str]) -> None:
        """Says which models there are."""
        self._models = frozenset(names)

    def request(self, model: str, api: str, entrypoint: str, code: Code, seconds: float) -> None:
        """Counts a request that has ended.

        Args:
          model: as the request named it.
          api: Predict, Classify, Regress, …
          entrypoint: REST or GRPC.
          code: how it ended.
          seconds: since it arrived.
        """
        name = model if model in self._models else _UNKNOWN_MODEL
        self._of(self._requests, name, code.name).inc()
        if code is Code.OK:
            self._of(self._latency, name, api, entrypoint).observe(seconds * 1e6)

    def run(self, model: str, rows: int, seconds: float) -> None:
        """Counts a run of a model, for one request or for several."""
        self._of(self._runtime, model, "Predict", "TF1").observe(seconds * 1e6)
        self._of(self._batch_rows, model).observe(rows)

    def examples(self, model: str, count: int) -> None:
        """Counts the tf.Examples of a Classify or Regress request."""
        self._examples.labels(model).observe(count)
        self._example_total.labels(model).inc(count)

    def loaded(self, path: str, code: Code, seconds: float) -> None:
        """Counts a try to load a version."""
        self._loads.labels(path, "success" if code is Code.OK else "fail").inc()
        if code is Code.OK:
            self._load_latency.labels(path).inc(seconds * 1e6)

    def forget(self, path: str) -> None:
        """Leaves out what was counted of a version's loads, when it is no longer served."""
        for status in ("success", "fail"):
            self._loads.remove_by_labels({"model_path": path, "status": status})
        self._load_latency.remove_by_labels({"model_path": path})

    def waiting(self, model: str, change: int) -> None:
        """Counts requests that wait for a model: more, or fewer."""
        self._of(self._waiting, model).inc(change)

    def logged(self, written: bool) -> None:
        """Counts a request that was drawn for the log."""
        (self._logged if written else self._not_logged).inc()

    def _of(self, metric: Any, *labels: str) -> Any:
        """A metric with labels; kept, as the library checks labels anew each time."""
        key = (metric, labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def text(self) -> bytes:
        """All of it, as Prometheus reads it (text format 0.0.4)."""
        return _APPENDED.sub(rb"\1", generate_latest(self.registry))
