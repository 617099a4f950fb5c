"""Two servers on this machine that follow the official APIs, and a clock that does not wait.

Kubeflow Pipelines: every body that comes or goes is held to a JSON schema made from `kfp_server_api`, which is generated from the
server's swagger; KFP_SWAGGER=FILE holds them to `kfp_api_single_file.swagger.json` itself. Specs are held to the official proto.
Vertex AI: every body is parsed as its message of `google.cloud.aiplatform_v1`, with no field that it does not have.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

import jsonschema
import kfp_server_api
import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
IMAGE = "ghcr.io/acme/millrace:0.1.0"


class FakeClock:
    """A clock whose waits take no time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds
        self.on_sleep()


class FakeServer:
    """Answers by `handle`; `faults` are answered first, one a request: (status, headers, body), or a word.

    `lost`: the request is carried out and the connection closed without an answer. `hang`: no answer until the end of the test.
    """

    def __init__(self) -> None:
        self.faults: list[Any] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.problems: list[str] = []
        self.released = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet for head and body: two would wait for each other, 40 ms a request.
            wbufsize = 1 << 16

            def log_message(self, *args: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or b"null") if length else None
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                fake.requests.append((self.command, unquote(parts.path), body))
                fake.headers.append({key.lower(): value for key, value in self.headers.items()})
                fault = fake.faults.pop(0) if fake.faults else None
                if fault == "hang":
                    fake.released.wait(60)
                    self.close_connection = True
                    return
                if isinstance(fault, tuple):
                    status, headers, answer = fault
                else:
                    headers = {}
                    try:
                        status, answer = fake.handle(self.command, unquote(parts.path), query, body)
                    except Exception as error:
                        fake.problems.append(f"{self.command} {self.path}: {error}")
                        status, answer = 400, {"message": f"the fake refuses: {error}"}
                if fault == "lost":
                    self.close_connection = True
                    self.connection.close()
                    return
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                kind = "text/html" if isinstance(answer, str) else "application/json"
                self.send_response(status)
                for key, value in {"content-type": kind, "content-length": str(len(data)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = do_PATCH = answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def handle(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        raise NotImplementedError

    def sent(self, method: str, ending: str) -> list[Any]:
        """Bodies of the requests of a method whose path ends so."""
        return [body for verb, path, body in self.requests if verb == method and path.endswith(ending)]


def schema_of(name: str) -> dict[str, Any]:
    """The JSON schema of a definition, such as V2beta1Run."""
    swagger = os.environ.get("KFP_SWAGGER")
    if swagger:
        found = json.loads(Path(swagger).read_text(encoding="utf-8"))
        definitions = found["definitions"]
        for definition in definitions.values():
            # google.protobuf.Any carries more than its own field.
            if definition.get("properties") and "@type" not in definition["properties"]:
                definition["additionalProperties"] = False
        names = {key.lower(): key for key in definitions}
        return {"$ref": f"#/definitions/{names[name.lower()]}", "definitions": definitions}
    definitions = {}
    _define(name, definitions)
    return {"$ref": f"#/definitions/{name}", "definitions": definitions}


def _define(name: str, definitions: dict[str, Any]) -> None:
    if name in definitions:
        return
    model = getattr(kfp_server_api, name)
    if not model.openapi_types:
        definitions[name] = {"enum": model.allowable_values}
        return
    definitions[name] = {"type": "object", "additionalProperties": name == "ProtobufAny"}
    properties = {model.attribute_map[key]: _typed(kind, definitions) for key, kind in model.openapi_types.items()}
    definitions[name]["properties"] = properties


def _typed(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    simple = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "datetime": "string"}
    if kind in simple:
        return {"type": simple[kind]}
    if kind == "object":
        return {}
    inner = re.fullmatch(r"list\[(.*)\]|dict\(str, (.*)\)", kind)
    if inner and inner[1]:
        return {"type": "array", "items": _typed(inner[1], definitions)}
    if inner:
        return {"type": "object", "additionalProperties": _typed(inner[2], definitions)}
    _define(kind, definitions)
    return {"$ref": f"#/definitions/{kind}"}


def held_to(name: str, value: Any) -> Any:
    """A value that fits its definition.

    Raises:
      jsonschema.ValidationError: it does not.
    """
    jsonschema.validate(value, schema_of(name))
    return value


class FakeKfp(FakeServer):
    """Kubeflow Pipelines, API v2beta1.

    Attributes:
      token: that it wants, or None for any.
      right: whether the user may do anything.
      multi_user: whether a namespace is needed.
      history: what a look at a run gives, one after another; the last stays. Fields of V2beta1Run.
      logs: pod -> its log.
    """

    def __init__(self) -> None:
        self.token: str | None = None
        self.right = True
        self.multi_user = False
        self.history: list[dict[str, Any]] = []
        self.logs: dict[str, str] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, str | None] = {}
        super().__init__()

    def handle(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if self.token and self.headers[-1].get("authorization") != f"Bearer {self.token}":
            return 401, _grpc(16, "Unauthenticated: the token is expired")
        if not self.right:
            return 403, _grpc(7, "PermissionDenied: User 'jo' is not authorized with reason: none")
        log = re.fullmatch(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", path)
        if log:
            found = self.logs.get(log[2])
            return 200, found if found is not None else {"error_message": "no such pod"}
        matched = re.fullmatch(r"/apis/v2beta1/(runs|recurringruns|experiments)(?:/([^/:]+))?(?::(\w+))?", path)
        if not matched:
            return 404, _grpc(5, "Not Found")
        kind, name, verb = matched.groups()
        kinds = {"runs": self.runs, "recurringruns": self.recurring, "experiments": self.experiments}
        if name is not None and name not in kinds[kind]:
            return 404, _grpc(5, f"ResourceNotFoundError: {kind} {name} not found")
        if method == "GET" and name is None:
            if self.multi_user != bool(query.get("namespace")):
                return 400, _grpc(3, "Invalid input error: a namespace is needed in multi-user mode, and only there")
            return 200, self._listed(kind, kinds[kind], query)
        if method == "POST" and name is None:
            return 200, self._made(kind, body)
        return getattr(self, f"_{method.lower()}_{kind}")(name, verb, query)

    def _listed(self, kind: str, found: dict[str, Any], query: dict[str, str]) -> Any:
        """Two a page, so that paging is always seen."""
        key, model = {
            "runs": ("runs", "V2beta1ListRunsResponse"),
            "recurringruns": ("recurringRuns", "V2beta1ListRecurringRunsResponse"),
            "experiments": ("experiments", "V2beta1ListExperimentsResponse"),
        }[kind]
        wanted = None
        if query.get("filter"):
            # As the server does: the query was decoded, and its value is decoded once more.
            (predicate,) = held_to("V2beta1Filter", json.loads(unquote_plus(query["filter"])))["predicates"]
            assert (predicate["operation"], predicate["key"]) == ("EQUALS", "display_name")
            wanted = predicate["string_value"]
        rows = [row for row in found.values() if wanted is None or row["display_name"] == wanted]
        begin = int(query.get("page_token") or 0)
        page = {key: rows[begin : begin + 2]}
        if begin + 2 < len(rows):
            page["next_page_token"] = str(begin + 2)
        return held_to(model, page)

    def _made(self, kind: str, body: Any) -> Any:
        number = len(self.runs) + len(self.recurring) + len(self.experiments) + len(self.deleted) + 1
        new_id = f"00000000-0000-4000-8000-{number:012d}"
        created = "2030-01-01T12:00:00Z"
        if kind == "experiments":
            made = held_to("V2beta1Experiment", {**body, "experiment_id": new_id, "created_at": created})
            self.experiments[new_id] = made
            return made
        model = "V2beta1Run" if kind == "runs" else "V2beta1RecurringRun"
        held_to(model, body)
        spec = body["pipeline_spec"]
        platform = spec.get("platform_spec", {})
        json_format.ParseDict(spec.get("pipeline_spec", spec), pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        assert body["display_name"], "the name can't be empty"
        assert body["experiment_id"] in self.experiments, "no such experiment"
        if kind == "runs":
            self.runs[new_id] = held_to(model, {**body, "run_id": new_id, "state": "PENDING", "created_at": created})
            return self.runs[new_id]
        assert 1 <= int(body["max_concurrency"]) <= 10, "max concurrency"
        assert len(body["trigger"]["cron_schedule"]["cron"].split()) == 6, "five fields would be read with seconds"
        status = "ENABLED" if body["mode"] == "ENABLE" else "DISABLED"
        made = {**body, "recurring_run_id": new_id, "status": status, "created_at": created}
        self.recurring[new_id] = held_to(model, made)
        return made

    def _get_runs(self, name: str, verb: str | None, query: dict[str, str]) -> tuple[int, Any]:
        if self.history:
            self.runs[name].update(self.history.pop(0) if len(self.history) > 1 else self.history[0])
        return 200, held_to("V2beta1Run", self.runs[name])

    def _post_runs(self, name: str, verb: str | None, query: dict[str, str]) -> tuple[int, Any]:
        assert verb == "terminate"
        self.runs[name]["state"] = "CANCELING"
        return 200, {}

    def _get_recurringruns(self, name: str, verb: str | None, query: dict[str, str]) -> tuple[int, Any]:
        return 200, held_to("V2beta1RecurringRun", self.recurring[name])

    def _post_recurringruns(self, name: str, verb: str | None, query: dict[str, str]) -> tuple[int, Any]:
        self.recurring[name]["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[str(verb)]
        return 200, {}

    def _delete_recurringruns(self, name: str, verb: str | None, query: dict[str, str]) -> tuple[int, Any]:
        self.deleted[name] = held_to("V2beta1DeletePropagationPolicy", query.get("propagation_policy"))
        del self.recurring[name]
        return 200, {}


def _grpc(code: int, message: str) -> dict[str, Any]:
    return {"error": message, "code": code, "message": message, "details": []}


class FakeVertex(FakeServer):
    """Vertex AI, REST v1: pipelineJobs and schedules of one place.

    Attributes:
      history: what a look at a job gives, one after another; the last stays. Fields of PipelineJob, as JSON.
      right: whether the user may do anything.
    """

    parent = "projects/acme/locations/europe-west4"

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.right = True
        self.jobs: dict[str, dict[str, Any]] = {}
        self.schedules: dict[str, dict[str, Any]] = {}
        super().__init__()

    def handle(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        from google.cloud.aiplatform_v1 import types

        if not self.right:
            message = "Permission 'aiplatform.pipelineJobs.create' denied on resource"
            return 403, {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}
        matched = re.fullmatch(rf"/v1/{self.parent}/(pipelineJobs|schedules)(?:/([^/:]+))?(?::(\w+))?", path)
        if not matched:
            return 404, _google(404, "NOT_FOUND", "no such place")
        kind, name, verb = matched.groups()
        message = types.PipelineJob if kind == "pipelineJobs" else types.Schedule
        found = self.jobs if kind == "pipelineJobs" else self.schedules
        if name is not None and name not in found:
            return 404, _google(404, "NOT_FOUND", f"{name} is not found")
        if method == "POST" and name is None:
            parsed = _strict(message, body)
            if kind == "pipelineJobs":
                name = query["pipelineJobId"]
                assert re.fullmatch(r"[a-z][a-z0-9-]{0,127}", name), name
                if name in found:
                    return 409, _google(409, "ALREADY_EXISTS", f"{name} is there")
                extra = {"state": "PIPELINE_STATE_PENDING"}
            else:
                assert parsed["cron"].startswith("TZ=") and len(parsed["cron"].split()) == 6, parsed["cron"]
                assert parsed["createPipelineJobRequest"]["parent"] == self.parent
                name = str(len(found) + 7001)
                extra = {"state": "ACTIVE", "nextRunTime": "2030-01-02T02:00:00Z"}
            found[name] = _strict(message, {**parsed, **extra, "name": f"{self.parent}/{kind}/{name}"})
            return 200, found[name]
        if method == "GET" and name is None:
            wanted = re.fullmatch(r'display_name="(.*)"', query.get("filter", ""))
            rows = [row for row in found.values() if not wanted or row["displayName"] == wanted[1]]
            begin = int(query.get("pageToken") or 0)
            page = {kind: rows[begin : begin + 2]}
            if begin + 2 < len(rows):
                page["nextPageToken"] = str(begin + 2)
            listing = types.ListPipelineJobsResponse if kind == "pipelineJobs" else types.ListSchedulesResponse
            return 200, _strict(listing, page)
        if method == "GET":
            if kind == "pipelineJobs" and self.history:
                found[name].update(self.history.pop(0) if len(self.history) > 1 else self.history[0])
            return 200, _strict(message, found[name])
        if method == "DELETE":
            del found[name]
            return 200, {"name": f"{self.parent}/operations/1", "done": True}
        requests = {
            "cancel": types.CancelPipelineJobRequest,
            "pause": types.PauseScheduleRequest,
            "resume": types.ResumeScheduleRequest,
        }
        _strict(requests[verb], body or {})
        found[name]["state"] = {
            "cancel": "PIPELINE_STATE_CANCELLING",
            "pause": "PAUSED",
            "resume": "ACTIVE",
        }[verb]
        if verb == "resume":
            found[name]["catchUp"] = bool((body or {}).get("catchUp"))
        return 200, {}


def _google(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status}}


def _strict(kind: Any, value: Any) -> dict[str, Any]:
    """A value as JSON of its message; a field that the message does not have is an error."""
    message = kind.pb(kind())
    json_format.ParseDict(value, message)
    return dict(json_format.MessageToDict(message))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def _served(server: Any) -> Iterator[Any]:
    yield server
    server.close()
    assert server.problems == []


@pytest.fixture
def fake_kfp() -> Iterator[FakeKfp]:
    yield from _served(FakeKfp())


@pytest.fixture
def fake_vertex() -> Iterator[FakeVertex]:
    yield from _served(FakeVertex())


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT", "KFP_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUD_ML_REGION", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def spec(root: str = "s3://ml/runs", sdk: str | None = None) -> dict[str, Any]:
    """A small pipeline in the form that compile gives: a group of tasks and an exit handler."""
    from importlib.metadata import version

    def parameter(kind: str, value: Any) -> dict[str, Any]:
        return {"parameterType": kind, "defaultValue": value}

    tasks = ("example-gen", "data-gate", "trainer")
    parameters = {
        "data": parameter("STRING", ""),
        "span": parameter("NUMBER_INTEGER", -1),
        "window": parameter("NUMBER_INTEGER", 1),
        "overrides": parameter("LIST", []),
        "cache": parameter("BOOLEAN", True),
    }
    container = {"image": IMAGE, "command": ["python", "-m", "pipeline.kubeflow.container"]}
    return {
        "schemaVersion": "2.1.0",
        "sdkVersion": sdk or f"millrace-{version('millrace')}",
        "defaultPipelineRoot": root,
        "pipelineInfo": {"name": "taxi-tips"},
        "root": {
            "inputDefinitions": {"parameters": parameters},
            "dag": {
                "tasks": {
                    "pipeline": {"taskInfo": {"name": "pipeline"}, "componentRef": {"name": "comp-pipeline"}},
                    "finish": {
                        "taskInfo": {"name": "finish"},
                        "componentRef": {"name": "comp-finish"},
                        "dependentTasks": ["pipeline"],
                        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
                    },
                }
            },
        },
        "components": {
            "comp-pipeline": {
                "dag": {
                    "tasks": {
                        name: {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"}} for name in tasks
                    }
                }
            },
            **{f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in (*tasks, "finish")},
        },
        "deploymentSpec": {
            "executors": {f"exec-{name}": {"container": container} for name in (*tasks, "finish")},
        },
    }


def _kfp_file(folder: Path, **changes: Any) -> str:
    path = folder / "taxi-tips.yaml"
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-trainer": {"nodeSelector": {}}}}}}}
    path.write_text(yaml.safe_dump_all([spec(**changes), platform]), encoding="utf-8")
    return str(path)


def _vertex_file(folder: Path, **changes: Any) -> str:
    path = folder / "taxi-tips.json"
    root = changes.pop("root", "gs://ml/runs")
    job = {
        "displayName": "taxi-tips",
        "labels": {"team": "ml"},
        "serviceAccount": "file@acme.iam.gserviceaccount.com",
        "pipelineSpec": spec(root=root, **changes),
        "runtimeConfig": {"gcsOutputDirectory": root, "parameterValues": {"span": -1, "window": 1}},
    }
    path.write_text(json.dumps(job), encoding="utf-8")
    return str(path)


@pytest.fixture
def kfp_file(tmp_path: Path) -> Callable[..., str]:
    return lambda **changes: _kfp_file(tmp_path, **changes)


@pytest.fixture
def vertex_file(tmp_path: Path) -> Callable[..., str]:
    return lambda **changes: _vertex_file(tmp_path, **changes)


def kfp_task(name: str, state: str, **more: Any) -> dict[str, Any]:
    """A node of the workflow, as the server tells of it."""
    return {"display_name": name, "state": state, "start_time": "2030-01-01T12:00:01Z", **more}


@pytest.fixture
def task_of_kfp() -> Callable[..., dict[str, Any]]:
    return kfp_task


class Ran:
    """What a command line printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs kubeflow_runner's commands of submitting and scheduling, on the clock that does not wait."""
    import typer

    from pipeline.cli import guarded
    from pipeline.cli_kubeflow import connection, schedule, submit

    monkeypatch.setattr(connection, "clock", lambda: clock)

    def run(*arguments: str) -> Ran:
        app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
        for command in (submit.submit, submit.wait, submit.cancel, submit.runs):
            app.command()(command)
        app.add_typer(schedule.app)
        monkeypatch.setattr("sys.argv", ["kubeflow_runner.py", *arguments])
        capsys.readouterr()
        code = guarded(app)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server with a certificate that nobody knows, which answers everything with 404; and its authority's file."""
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    fake = FakeKfp()
    fake._server.socket = context.wrap_socket(fake._server.socket, server_side=True)
    yield fake.url.replace("http://127.0.0.1", "https://localhost"), str(tmp_path / "ca.pem")
    fake.close()
