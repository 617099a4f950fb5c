"""Records in an ML Metadata service: the real library behind real gRPC."""

import json
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_service_pb2 as messages

from pipeline.errors import MillraceError, UsageError
from pipeline.remote import metadata
from pipeline.remote.mirror import Mirror
from pipeline.remote.service import Service
from tests.pipeline.remote.test_metadata import _graphs, _store

URL = "s3://bucket/runs/tips"


class _Handler(grpc.GenericRpcHandler):
    """Hands every call to a store in a file."""

    def __init__(self, store: mlmd.MetadataStore) -> None:
        self._store = store
        service = messages.DESCRIPTOR.services_by_name["MetadataStoreService"]
        self._methods = {f"/{service.full_name}/{method.name}": method for method in service.methods}

    def service(self, handler_call_details: Any) -> Any:
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        request = getattr(messages, method.input_type.name)
        response = getattr(messages, method.output_type.name)

        def answer(asked: Any, context: grpc.ServicerContext) -> Any:
            given = response()
            try:
                self._store._call_method(method.name, asked, given)
            except mlmd.errors.NotFoundError as error:
                context.abort(grpc.StatusCode.NOT_FOUND, str(error))
            except mlmd.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return given

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=request.FromString, response_serializer=lambda given: given.SerializeToString()
        )


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((_Handler(metadata.open_store(tmp_path / "service.db")),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def _executions(tmp_path: Path, home: str) -> dict[str, Any]:
    """Two executions of a pipeline `tips`, whose artifacts are under a place."""
    store = _store(tmp_path / "local.db")
    from ml_metadata.proto import metadata_store_pb2 as pb

    kind = store.put_context_type(pb.ContextType(name="pipeline"))
    (context,) = store.put_contexts([pb.Context(type_id=kind, name="tips")])
    store.put_attributions_and_associations(
        [], [pb.Association(context_id=context, execution_id=e.id) for e in store.get_executions()]
    )
    return dict(json.loads(json.dumps(_graphs(store)).replace("/home", home)))


def test_what_one_machine_commits_another_finds(tmp_path: Path, address: str) -> None:
    homes = [tmp_path / name / "tips" for name in ("one", "two")]
    for home in homes:
        home.mkdir(parents=True)
    one, two = (Mirror(str(tmp_path / "bucket" / "tips"), home, address) for home in homes)
    graphs = _executions(tmp_path, str(homes[0]))
    one.metadata()
    one.commit("run", "gen", graphs["run.gen"])
    one.commit("run", "train", graphs["run.train"])
    two.metadata()
    assert metadata.uris(homes[1] / "metadata.db") == [f"{homes[1]}/a/1", f"{homes[1]}/m/2"]
    store = metadata.open_store(homes[1] / "metadata.db")
    train = next(e for e in store.get_executions() if e.name == "train")
    read = [event.artifact_id for event in store.get_events_by_execution_ids([train.id]) if event.type == event.INPUT]
    assert [a.uri for a in store.get_artifacts_by_id(read)] == [f"{homes[1]}/a/1"]
    assert two.committed("run", "train") is not None
    assert two.committed("run", "other") is None


def test_executions_of_another_root_are_passed_over(tmp_path: Path, address: str) -> None:
    graphs = _executions(tmp_path, "s3://bucket/elsewhere/tips")
    other = Service(address, "tips", "s3://bucket/elsewhere/tips")
    other.commit(graphs["run.gen"])
    assert list(other.graphs(set())) == ["service.1"]
    assert Service(address, "tips", URL).graphs(set()) == {}
    assert other.graphs({"service.1"}) == {}


def test_a_service_that_is_not_there_is_named_after_a_few_tries() -> None:
    waited: list[float] = []
    service = Service("127.0.0.1:1", "tips", URL, wait=waited.append, tries=3)
    with pytest.raises(MillraceError, match=r"the service at 127\.0\.0\.1:1 can't be reached.*without --metadata"):
        service.graphs(set())
    assert waited == [1.0, 2.0]


@pytest.mark.parametrize("address", ["", "host", "host:", ":80", "host:http"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        Service(address, "tips", URL)
