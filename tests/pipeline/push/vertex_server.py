"""A small Vertex AI: the registry of models and the endpoints, over real HTTP, with faults to order."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_TYPES = "type.googleapis.com/google.cloud.aiplatform.v1"


@dataclass
class Vertex:
    """What the server holds, and what it was asked.

    Attributes:
      models: versions of models, as the API has them.
      endpoints: likewise.
      calls: method and path of each request that changed something, in order.
      faults: (status, message) of the next answers, before the server does its work again.
      slow: how many times an operation is still under way when it is asked for.
      address: of the server.
    """

    models: list[dict[str, Any]] = field(default_factory=list)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    slow: int = 0
    address: str = ""
    _pending: dict[str, Any] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def answer(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of a request."""
        if self.faults:
            status, message = self.faults.pop(0)
            return status, {"error": {"code": status, "message": message}}
        parts = urlsplit(url)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/v1/").removeprefix("/ui/")  # Google's client asks for operations below /ui
        if method != "GET":
            self.calls.append((method, path.partition("locations/")[2].partition("/")[2]))
        if method == "GET" and "/operations/" in path:
            return 200, self._operation(path)
        if path.endswith("/models"):
            wanted = re.fullmatch(r'labels\.(\w+)="(\w+)"', query["filter"])
            assert wanted is not None
            newest = {model["name"]: model for model in self.models if model["labels"].get(wanted[1]) == wanted[2]}
            return 200, {"models": list(newest.values())}
        if path.endswith(":listVersions"):
            name = path.removesuffix(":listVersions")
            return 200, {"models": [model for model in self.models if model["name"] == name]}
        if path.endswith("/models:upload"):
            return 200, self._upload(path.removesuffix("/models:upload"), body)
        if path.endswith("/endpoints"):
            return self._list_or_make(method, path, query, body)
        return 200, self._change(path, query, body)

    def _upload(self, parent: str, body: Any) -> Any:
        name = body.get("parentModel") or f"{parent}/models/{next(self._numbers)}"
        number = str(1 + sum(model["name"] == name for model in self.models))
        self.models.append({**body["model"], "name": name, "versionId": number})
        return self._started("UploadModelResponse", {"model": name, "modelVersionId": number})

    def _list_or_make(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "GET":
            display = query["filter"].removeprefix('display_name="').removesuffix('"')
            return 200, {"endpoints": [found for found in self.endpoints if found["displayName"] == display]}
        made = {**body, "name": f"{path}/{next(self._numbers)}", "deployedModels": [], "trafficSplit": {}}
        self.endpoints.append(made)
        return 200, self._started("Endpoint", made)

    def _change(self, path: str, query: dict[str, str], body: Any) -> Any:
        name, _, action = path.partition(":")
        endpoint = next(found for found in self.endpoints if found["name"] == name)
        if action == "deployModel":
            model, _, number = body["deployedModel"]["model"].partition("@")
            identity = str(next(self._numbers))
            deployed = {**body["deployedModel"], "id": identity, "model": model, "modelVersionId": number}
            endpoint["deployedModels"].append(deployed)
            split = {identity if key == "0" else key: share for key, share in body["trafficSplit"].items()}
            endpoint["trafficSplit"] = split
            return self._started("DeployModelResponse", {"deployedModel": deployed})
        if action == "undeployModel":
            gone = body["deployedModelId"]
            endpoint["deployedModels"] = [found for found in endpoint["deployedModels"] if found["id"] != gone]
            endpoint["trafficSplit"].pop(gone, None)
            return self._started("UndeployModelResponse", {})
        assert query["updateMask"] == "trafficSplit"
        endpoint["trafficSplit"] = body["trafficSplit"]
        return endpoint

    def _started(self, kind: str, response: Any) -> Any:
        name = f"projects/taxis/locations/europe-west4/operations/{next(self._numbers)}"
        done = {"name": name, "done": True, "response": {"@type": f"{_TYPES}.{kind}", **response}}
        self._pending[name] = (self.slow, done)
        return self._operation(name)

    def _operation(self, name: str) -> Any:
        left, done = self._pending[name]
        self._pending[name] = (left - 1, done)
        return done if left <= 0 else {"name": name, "done": False}


@contextmanager
def serving() -> Iterator[Vertex]:
    """A server at a free port of this machine."""
    vertex = Vertex()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "null")
            vertex.headers.append(dict(self.headers))
            status, answer = vertex.answer(self.command, self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _handle

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vertex.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield vertex
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
