"""Records in an ML Metadata service, in place of the root: what a cluster that has one shows of every pipeline.

    service = Service("metadata-grpc-service.kubeflow:8080", task="taxi_tips", url="s3://bucket/runs/taxi_tips")
    service.graphs(known=set())     # name -> execution, as pipeline.remote.metadata captures them
    service.commit(graph)

Ids are the service's own. Executions of other roots, and what other pipelines wrote, are passed over.
"""

import json
import time
from collections.abc import Callable, Set
from typing import Any, TypeVar

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration.portable.mlmd import execution_lib

from pipeline.errors import MillraceError, UsageError
from pipeline.remote import metadata

_SECONDS = 30.0
_TRIES = 4
_PIPELINE = "pipeline"
_Value = TypeVar("_Value")


class Service:
    """See the module."""

    def __init__(
        self, address: str, task: str, url: str, wait: Callable[[float], None] = time.sleep, tries: int = _TRIES
    ) -> None:
        """Connects when it is first asked.

        Args:
          address: `host:port` of the gRPC service.
          task: name of the pipeline.
          url: of the task's part of the root.
          wait: between two tries, seconds.
          tries: where the service can't be reached.

        Raises:
          UsageError: the address is none.
        """
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdigit():
            raise UsageError(f"metadata: expected HOST:PORT of an ML Metadata service. Received: {address}")
        config = metadata_store_pb2.MetadataStoreClientConfig(host=host, port=int(port), client_timeout_sec=_SECONDS)
        self._store = mlmd.MetadataStore(config)
        self._address, self._task, self._url = address, task, url
        self._wait, self._tries = wait, tries

    def graphs(self, known: Set[str]) -> dict[str, metadata.Graph]:
        """The executions of the task that ended well, oldest first, without those that are known by name."""
        return self._told(lambda: self._graphs(known))

    def commit(self, graph: metadata.Graph) -> metadata.Graph:
        """Adds an execution; returns it as the service has it, with the ids that it gave."""
        return self._told(lambda: _json(metadata.capture(self._store, metadata.insert(self._store, graph))))

    def _graphs(self, known: Set[str]) -> dict[str, metadata.Graph]:
        context = self._store.get_context_by_type_and_name(_PIPELINE, self._task)
        found = self._store.get_executions_by_context(context.id) if context else []
        graphs: dict[str, metadata.Graph] = {}
        ours: set[str] = set()
        for execution in sorted(found, key=lambda each: each.id):
            if execution_lib.is_execution_successful(execution):
                graph = _json(metadata.capture(self._store, execution.id))
                made = {entry["artifact"]["id"]: entry["artifact"].get("uri", "") for entry in graph["artifacts"]}
                asked = {event["artifactId"] for event in graph["events"]} - set(made)
                if asked <= ours and all(uri.startswith(self._url) for uri in made.values()):
                    ours |= set(made)
                    graphs[f"service.{execution.id}"] = graph
        return {name: graph for name, graph in graphs.items() if name not in known}

    def _told(self, act: Callable[[], _Value]) -> _Value:
        """Tries again where the service can't be reached; one clear error where it still can't."""
        for attempt in range(self._tries):
            try:
                return act()
            except (mlmd.errors.UnavailableError, mlmd.errors.DeadlineExceededError) as error:
                last = error
                if attempt + 1 < self._tries:
                    self._wait(2.0**attempt)
        reason = (str(last).splitlines() or ["no answer"])[0]
        raise MillraceError(
            f"metadata: the service at {self._address} can't be reached: {reason[:200]}. "
            "Next: check the address and the network policy, or compile without --metadata, which keeps records on the root"
        ) from last


def _json(graph: metadata.Graph) -> metadata.Graph:
    """Ids as text, as in JSON."""
    found: Any = json.loads(json.dumps(graph))
    return dict(found)
