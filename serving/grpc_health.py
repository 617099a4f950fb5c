"""grpc.health.v1, for load balancers and Kubernetes: SERVING while there is a version that answers.

    grpc_health_probe -addr=localhost:8500                     every model
    grpc_health_probe -addr=localhost:8500 -service=taxi_tips  one model

HealthCheckRequest is a string in field 1 and HealthCheckResponse an enumeration in field 1. On the wire these are
protobuf's own StringValue and Int32Value, so that no package is needed for them. No token is asked.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from serving.errors import ServingError
from serving.manager import Manager
from serving.models import AVAILABLE

SERVICE = "grpc.health.v1.Health"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
_LOOK_SECONDS = 1.0


def add_health(server: grpc.aio.Server, manager: Manager) -> None:
    """Adds the service to a server that has not started."""

    async def check(request: StringValue, context: Any) -> Int32Value:
        status = _status(manager, request.value)
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"There is no model {request.value}.")
        return Int32Value(value=status)

    async def watch(request: StringValue, context: Any) -> AsyncIterator[Int32Value]:
        told = None
        while True:
            status = _status(manager, request.value)
            if status != told:
                yield Int32Value(value=status)
                told = status
            await asyncio.sleep(_LOOK_SECONDS)

    read, write = StringValue.FromString, Int32Value.SerializeToString
    handlers = {
        "Check": grpc.unary_unary_rpc_method_handler(check, read, write),
        "Watch": grpc.unary_stream_rpc_method_handler(watch, read, write),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _status(manager: Manager, service: str) -> int:
    if not service:
        return SERVING if manager.ready() else NOT_SERVING
    if service not in manager.models():
        return SERVICE_UNKNOWN
    try:
        states = manager.status(service)
    except ServingError:  # No version was ever found.
        return NOT_SERVING
    return SERVING if any(status.state == AVAILABLE for status in states) else NOT_SERVING
