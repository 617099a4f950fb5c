"""The REST front as one ASGI application, for any ASGI server."""

import hmac
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.metrics import Metrics
from serving.rest import openapi
from serving.rest.answer import error_json, send_json
from serving.rest.models import ModelApi
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.manager import Manager

METRICS_PATH = "/monitoring/prometheus/metrics"
_OPEN_TO_ALL = frozenset({"/healthz", "/readyz"})
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="serving"'),)
_SCHEME = b"bearer "


def build(manager: "Manager", settings: Settings, metrics: Metrics) -> ASGIApp:
    """The application.

    Args:
      manager: has the models.
      settings: its limits, and the token that a request has to bring; /healthz and /readyz, which tell nothing of the
        models, are open without it.
      metrics: counts, and is shown.
    """
    front = _Front(ModelApi(manager, settings.limits, metrics), _around(manager, metrics))
    return front if settings.token is None else _Guarded(front, settings.token)


class _Front:
    """Paths below /v1/ go to the models without the detour of a router; the rest to Starlette's."""

    def __init__(self, models: ASGIApp, rest: ASGIApp) -> None:
        self._models = models
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_model = scope["type"] == "http" and scope["path"][:4].lower() == "/v1/"
        await (self._models if is_model else self._rest)(scope, receive, send)


class _Guarded:
    """Answers 401 to requests without the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _OPEN_TO_ALL and not self._has_token(scope):
            await send_json(send, 401, error_json("Expected `authorization: Bearer …` with the token"), _CHALLENGE)
            return
        await self._app(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if given[: len(_SCHEME)].lower() != _SCHEME:
            return False
        return hmac.compare_digest(given[len(_SCHEME) :].strip(), self._token)


def _around(manager: "Manager", metrics: Metrics) -> Starlette:
    """Health, metrics and the description: what is asked for once in a while."""

    async def live(request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(request: Request) -> Response:
        if manager.ready():
            return JSONResponse({"status": "ready"})
        return JSONResponse({"error": "Not every model has a version that is loaded"}, 503)

    async def shown_metrics(request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def description(request: Request) -> Response:
        return JSONResponse(openapi.document())

    return Starlette(
        routes=[
            Route("/healthz", live),
            Route("/readyz", ready),
            Route(METRICS_PATH, shown_metrics),
            Route("/openapi.json", description),
        ],
        exception_handlers={HTTPException: _http_error},
    )


async def _http_error(request: Request, error: Exception) -> Response:
    """404 and 405 in the form of all errors."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    message = "Not found" if status == 404 else "Method not allowed"
    return JSONResponse({"error": f"{message}: {request.method} {request.url.path}"}, status, headers)
