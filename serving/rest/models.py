"""Everything below /v1/: a request in, the model asked, an answer out.

This is the path of every prediction, so it is plain ASGI: no middleware, no request object. Bodies and answers of more than a
megabyte are taken apart in a thread, so that small requests need not wait for all of it.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from starlette.types import Receive, Scope, Send

from serving import inference
from serving.errors import Code, ServingError
from serving.manager import Manager
from serving.metrics import Metrics
from serving.rest import body as bodies
from serving.rest import describe, examples, json_read, json_write, paths
from serving.rest.answer import Headers, error_json, send_json
from serving.rest.json_shown import hint, shape_text
from serving.servable import Servable
from serving.session import Signature
from serving.settings import Limits

_LARGE = 1 << 20
_CLOSE = ((b"connection", b"close"),)
_BODY_CODES = {408: Code.DEADLINE_EXCEEDED, 413: Code.RESOURCE_EXHAUSTED}
_OF_IMAGES = re.compile(r"\b(image|JPEG|PNG|GIF|BMP)\b", re.I)
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class ModelApi:
    """An ASGI application for the paths below /v1/.

    Attributes:
      manager: has the models.
      limits: of a request.
      metrics: counts.
    """

    manager: Manager
    limits: Limits
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; whatever happens, it is an answer of TF Serving's form."""
        begin = time.monotonic()
        method = scope["method"]
        asked, code = None, Code.OK
        headers: Headers = ()
        try:
            if method == "OPTIONS":
                _preflight(scope)
                text = b""
            else:
                asked = paths.parse(method, _target(scope))
                if method == "POST":
                    body = await bodies.read(
                        scope["headers"], receive, self.limits.body_bytes, self.limits.timeout_seconds
                    )
                    text = await self._call(asked, body)
                else:
                    text = self._look(asked)
            status = 200
        except ServingError as error:
            code, status, text = error.code, error.code.http, error_json(error.message)
        except bodies.BodyError as error:
            code, status, text, headers = _BODY_CODES[error.status], error.status, error_json(error.message), _CLOSE
        except bodies.Disconnected:
            self._count(asked, Code.CANCELLED, begin)
            return
        except Exception:  # A defect of ours must not reach the client, and not end the connection of others.
            _log.exception("%s %s failed", method, _target(scope))
            code, status, text = Code.INTERNAL, 500, error_json("Internal error; the server's log has it")
        self._count(asked, code, begin)
        await send_json(send, status, text, headers)

    def _count(self, asked: paths.Asked | None, code: Code, begin: float) -> None:
        model, verb = (asked.model, asked.verb) if asked else ("", "")
        self.metrics.request(model, verb, "REST", code, time.monotonic() - begin)

    async def _call(self, asked: paths.Asked, body: bytes) -> bytes:
        """Predict, classify or regress."""
        document = await _when_large(len(body), json_read.parse, body)
        name = json_read.signature_name(document)
        if asked.verb == "predict":
            with self.manager.pinned(asked.model, asked.version, asked.label) as servable:
                return await _predict(servable, name, document, len(body))
        rows = await _when_large(len(body), examples.read, document, asked.verb)
        with self.manager.pinned(asked.model, asked.version, asked.label) as servable:
            self.metrics.examples(servable.name, len(rows))
            if asked.verb == "classify":
                classes = await inference.classify(servable, name, rows)
                return json_write.classifications(classes)
            return json_write.regressions(await inference.regress(servable, name, rows))

    def _look(self, asked: paths.Asked) -> bytes:
        """Status or metadata."""
        if asked.verb == "metadata":
            with self.manager.pinned(asked.model, asked.version, asked.label) as servable:
                return describe.metadata(servable)
        return describe.status(self.manager.status(asked.model, asked.version, asked.label))


async def _predict(servable: Servable, name: str, document: Mapping[str, Any], size: int) -> bytes:
    signature = _signature(servable, name)
    inputs = await _when_large(size, json_read.arrays, document, signature)
    try:
        outputs = await servable.run(signature, inputs)
    except ServingError as error:
        raise _explained(error, signature, inputs) from None
    write = json_write.predictions if "instances" in document else json_write.columns
    return await _when_large(sum(array.nbytes for array in outputs.values()), write, outputs)


def _signature(servable: Servable, name: str) -> Signature:
    name = name or inference.DEFAULT_SIGNATURE
    signatures = servable.model.signatures
    if name not in signatures:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f'Serving signature name: "{name}" not found in signature def.{hint([name], signatures)} '
            f"Signatures: {', '.join(signatures)}",
        )
    if not signatures[name].inputs:
        raise ServingError(Code.INVALID_ARGUMENT, f"Failed to get input map for signature: {name}")
    return signatures[name]


def _explained(error: ServingError, signature: Signature, inputs: Mapping[str, np.ndarray]) -> ServingError:
    """What TensorFlow says, with the inputs that can be at fault: it names neither input nor row.

    Two faults are known: columns of different lengths, and bytes that are no image.
    """
    if error.code is not Code.INVALID_ARGUMENT:
        return error
    rows = {name: len(array) for name, array in inputs.items() if array.ndim}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in rows.items())
        return ServingError(error.code, f"Expected as many rows of each input. Received: {told}. {error.message}")
    if not _OF_IMAGES.search(error.message):
        return error
    strings = [f"{name} {shape_text(array.shape)}" for name, array in inputs.items() if array.dtype == object]
    return ServingError(
        Code.INVALID_ARGUMENT,
        f"{error.message.rstrip('.')}. Expected: PNG or JPEG. Received something else, signature {signature.name!r}, input "
        f"{' or '.join(strings)}. Next: decode the images where they come from, or ask for one row at a time",
    )


async def _when_large(size: int, work: Callable[..., _T], *args: Any) -> _T:
    """Works, in a thread where there is much of it."""
    return await asyncio.to_thread(work, *args) if size > _LARGE else work(*args)


def _target(scope: Scope) -> str:
    """The path as it was sent, with its query, as TF Serving reads and quotes it."""
    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    return (raw + b"?" + query if query else raw).decode("latin-1")


def _preflight(scope: Scope) -> None:
    """A browser's question whether it may; as TF Serving, which answers without CORS headers unless told otherwise."""
    origin = dict(scope["headers"]).get(b"origin", b"")
    if b"http://" not in origin and b"https://" not in origin:
        raise ServingError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
