"""Vertex AI Pipelines: runs, and schedules by its own scheduler (REST, v1).

By the clients that `google-cloud-aiplatform` is made of. Its `PipelineJob` would make a bucket that is not there, log a traceback
where it can't, and drop the service account and the labels of the file.

Credentials are Google's application default ones. They are never sent to an address that is plain http: `--api-endpoint
http://127.0.0.1:PORT` is for tests, and is asked without any.
"""

import contextlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow.api import faults
from pipeline.kubeflow.api.backend import Job, Order, Schedule, TaskRun, Timetable
from pipeline.kubeflow.api.package import Package, Target, check_labels, executors
from pipeline.kubeflow.api.retrying import Clock, Fault, patiently, seconds_of, while_waiting

T = TypeVar("T")
_SECONDS = 60.0
_PAGE = 100
_CONSOLE = "https://console.cloud.google.com/vertex-ai"
_STATES = {
    "STATE_UNSPECIFIED": "PENDING",
    "QUEUED": "PENDING",
    "CANCELLED": "CANCELED",
    "CANCELLING": "CANCELING",
    "CANCEL_PENDING": "CANCELING",
    "NOT_TRIGGERED": "SKIPPED",
}
_SCHEDULE_STATES = {"ACTIVE": "ENABLED"}
_ADVICE: faults.Advice = {
    400: "mend what it names",
    401: "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS=FILE",
    403: "ask for roles/aiplatform.user in the project, and roles/iam.serviceAccountUser on the account that runs it; "
    "the Vertex AI API must be enabled",
    404: "check --project, --region and the id",
    409: "choose another name",
    429: "wait, or ask for more quota (Vertex AI: concurrent pipeline jobs, requests a minute)",
}


@dataclass(frozen=True)
class Place:
    """Where on Google Cloud.

    Attributes:
      project: its id or number.
      region: such as `europe-west4`.
      endpoint: another address of the API: a private one, or a local server; None for the region's own.
    """

    project: str
    region: str
    endpoint: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9:.-]+", self.project) or not re.fullmatch(r"[a-z]+-[a-z]+\d+|global", self.region):
            raise UsageError(
                "--project, --region: Expected: a project's id and a region, e.g. my-project and europe-west4. "
                f"Received: project={self.project!r} region={self.region!r}"
            )
        if self.endpoint and self.endpoint.startswith("http://") and not self.local:
            raise UsageError(
                f"--api-endpoint: credentials are not sent over plain http. Expected: https://… or a host. "
                f"Received: {self.endpoint}"
            )

    @property
    def local(self) -> bool:
        """Whether it is a server on this machine, which is asked without credentials."""
        parts = urlsplit(self.endpoint or "")
        return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")

    @property
    def host(self) -> str:
        """The address of the API."""
        return self.endpoint or f"{self.region}-aiplatform.googleapis.com"

    @property
    def parent(self) -> str:
        """The name of the place in the API."""
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def name(self) -> str:
        """For messages."""
        return f"Vertex AI ({self.project}, {self.region})"


class Vertex:
    """Vertex AI in one place."""

    target: Target = "vertex"

    def __init__(self, place: Place, clock: Clock) -> None:
        """Connects, which sends nothing yet.

        Raises:
          MillraceError: there are no credentials.
        """
        from google.cloud import aiplatform_v1

        self._types: Any = aiplatform_v1.types
        self._place = place
        self._clock = clock
        self._pipelines: Any = self._client(aiplatform_v1.PipelineServiceClient)
        self._scheduler: Any = self._client(aiplatform_v1.ScheduleServiceClient)

    def submit(self, order: Order) -> Job:
        """Starts a run; see `Backend.submit`. Its id is ours, so a second attempt can't make a second run."""
        job_id = f"{re.sub(r'[^a-z0-9-]+', '-', order.name.lower()).strip('-')[:100]}-{secrets.token_hex(3)}".lstrip(
            "-"
        )
        request = {"parent": self._place.parent, "pipeline_job": self._pipeline_job(order), "pipeline_job_id": job_id}
        with self._told("submit"):
            made = patiently(
                lambda: self._call(self._pipelines.create_pipeline_job, request),
                self._clock,
                made=lambda: self._existing(job_id),
            )
        return self._job(made)

    def job(self, job_id: str, *, within: float | None = None) -> Job:
        """A run as it is now."""
        with self._told(f"run {job_id}"):
            request = {"name": self._full(job_id, "pipelineJobs")}
            patience = while_waiting(within)
            return self._job(
                patiently(lambda: self._call(self._pipelines.get_pipeline_job, request), self._clock, patience)
            )

    def cancel(self, job_id: str) -> None:
        """Asks Vertex AI to cancel a run."""
        with self._told(f"cancel {job_id}"):
            request = {"name": self._full(job_id, "pipelineJobs")}
            patiently(lambda: self._call(self._pipelines.cancel_pipeline_job, request), self._clock)

    def recent(self, count: int) -> list[Job]:
        """The newest runs."""
        request = {"parent": self._place.parent, "page_size": count, "order_by": "create_time desc"}
        with self._told("runs"):
            page = patiently(lambda: self._call(self._pipelines.list_pipeline_jobs, request), self._clock)
        return [self._job(job) for job in page.pipeline_jobs]

    def log(self, job: Job, task: TaskRun) -> str:
        """Nothing: logs are in Cloud Logging, behind rights of their own; `log_command` leads there."""
        return ""

    def log_command(self, job: Job, task: TaskRun | None) -> str:
        """gcloud, with the run's id as the text to look for."""
        return f"{job.link}, or gcloud logging read '\"{job.job_id}\"' --project {self._place.project} --limit 50"

    def fits(self, timetable: Timetable) -> str:
        """Five fields behind the time zone."""
        if timetable.catch_up:
            raise UsageError(
                "--catch-up: on Vertex AI it is said when a paused schedule goes on. "
                "Next: leave it out, and later schedule resume NAME --catch-up"
            )
        return timetable.cron.for_vertex()

    def schedules(self, name: str | None = None) -> list[Schedule]:
        """Schedules of pipelines, all pages."""
        with self._told("schedules"):
            return [self._schedule(found) for found in self._all_schedules(name)]

    def create_schedule(self, order: Order, timetable: Timetable) -> Schedule:
        """Makes a schedule, active."""
        job = {"parent": self._place.parent, "pipeline_job": self._pipeline_job(order)}
        schedule = self._types.Schedule(
            display_name=order.name,
            cron=self.fits(timetable),
            # The first one counts runs that are being started; only the second one those that are at work.
            max_concurrent_run_count=timetable.max_concurrency,
            max_concurrent_active_run_count=timetable.max_concurrency,
            create_pipeline_job_request=job,
            start_time=timetable.start,
            end_time=timetable.end,
        )
        with self._told("schedule"):
            before = {found.name for found in self._all_schedules(order.name)}
            request = {"parent": self._place.parent, "schedule": schedule}
            made = patiently(
                lambda: self._call(self._scheduler.create_schedule, request),
                self._clock,
                made=lambda: next((one for one in self._all_schedules(order.name) if one.name not in before), None),
            )
        return self._schedule(made)

    def pause(self, schedule_id: str) -> None:
        """Pauses a schedule."""
        with self._told("pause"):
            request = {"name": self._full(schedule_id, "schedules")}
            patiently(lambda: self._call(self._scheduler.pause_schedule, request), self._clock)

    def resume(self, schedule_id: str, *, catch_up: bool = False) -> None:
        """Resumes a schedule; with `catch_up` the runs that were missed come first."""
        with self._told("resume"):
            request = {"name": self._full(schedule_id, "schedules"), "catch_up": catch_up}
            patiently(lambda: self._call(self._scheduler.resume_schedule, request), self._clock)

    def delete(self, schedule_id: str) -> None:
        """Deletes a schedule."""
        with self._told("delete"):
            try:
                request = {"name": self._full(schedule_id, "schedules")}
                patiently(lambda: self._call(self._scheduler.delete_schedule, request), self._clock)
            except Fault as fault:
                # An attempt whose answer was lost has done it.
                if fault.status != 404 or fault.attempts == 1:
                    raise

    def _client(self, kind: Any) -> Any:
        from google.api_core.client_options import ClientOptions
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import GoogleAuthError

        anonymous: Any = AnonymousCredentials
        try:
            return kind(
                client_options=ClientOptions(api_endpoint=self._place.host),
                transport="rest",
                credentials=anonymous() if self._place.local else None,
            )
        except GoogleAuthError as error:
            raise MillraceError(
                f"Google Cloud does not know who asks: {str(error).partition('.')[0]}. Next: {_ADVICE[401]}"
            ) from error

    def _told(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return faults.told(self._place.name, doing, _ADVICE)

    def _call(self, method: Callable[..., T], request: Any) -> T:
        """One request, with a time-out and no attempts but ours."""
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError, InvalidOperation, RefreshError, TransportError
        from google.protobuf import json_format

        try:
            return method(request=request, timeout=_SECONDS, retry=None)
        except GoogleAPICallError as error:
            headers = getattr(error.response, "headers", None) or {}
            retry_after = seconds_of(headers.get("retry-after"), self._clock.now())
            raise Fault("status", _said(error), status=int(error.code or 500), retry_after=retry_after) from None
        except requests.exceptions.SSLError as error:
            raise Fault("tls", _tail(error)) from None
        except requests.exceptions.Timeout as error:
            raise Fault("timeout", _tail(error)) from None
        except requests.exceptions.ConnectionError as error:
            raise _unconnected(error) from None
        except TransportError as error:
            raise Fault("broken", _tail(error)) from None
        except (RefreshError, InvalidOperation) as error:
            # What Google's library makes of a 401 that new credentials did not mend.
            raise Fault("status", _tail(error), status=401) from None
        except GoogleAuthError as error:
            raise Fault("credentials", _tail(error)) from None
        except requests.exceptions.RequestException as error:
            raise Fault("broken", _tail(error)) from None
        except (json_format.Error, ValueError) as error:
            raise Fault("no_api", "a page that is not JSON") from error

    def _existing(self, job_id: str) -> Any | None:
        try:
            return self._call(self._pipelines.get_pipeline_job, {"name": self._full(job_id, "pipelineJobs")})
        except Fault as fault:
            if fault.status == 404:
                return None
            raise

    def _all_schedules(self, name: str | None) -> list[Any]:
        found: list[Any] = []
        quoted = (name or "").replace("\\", "\\\\").replace('"', '\\"')
        request = {
            "parent": self._place.parent,
            "page_size": _PAGE,
            "filter": f'display_name="{quoted}"' if name else "",
            "order_by": "create_time desc",
        }
        while True:
            page = patiently(lambda: self._call(self._scheduler.list_schedules, request), self._clock)
            # The pager would ask for more pages by itself, without our time-out and attempts.
            found += [one for one in page.schedules if name is None or one.display_name == name]
            if not page.next_page_token:
                return found
            request["page_token"] = page.next_page_token

    def _full(self, name: str, collection: str) -> str:
        return name if name.startswith("projects/") else f"{self._place.parent}/{collection}/{name}"

    def _pipeline_job(self, order: Order) -> Any:
        job = pipeline_job(order.package)
        for key, value in order.parameters.items():
            job["runtimeConfig"].setdefault("parameterValues", {})[key] = value
        check_labels(order.labels)
        job["displayName"] = order.name
        job["labels"] = {**job.get("labels", {}), **order.labels}
        if order.service_account:
            job["serviceAccount"] = order.service_account
        if order.network:
            job["network"] = order.network
        return _parsed(self._types.PipelineJob, job, order.package.path)

    def _job(self, job: Any) -> Job:
        from google.protobuf import json_format

        job_id = str(job.name).rpartition("/")[2]
        known = executors(json_format.MessageToDict(self._types.PipelineJob.pb(job).pipeline_spec))
        tasks = {}
        for detail in sorted(job.job_detail.task_details, key=lambda one: str(one.create_time or "")):
            name = str(detail.task_name)
            if not known or name in known:
                tasks[name] = TaskRun(name, _state(detail.state), str(detail.error.message))
        return Job(
            job_id=job_id,
            name=str(job.display_name),
            link=f"{_CONSOLE}/locations/{self._place.region}/pipelines/runs/{job_id}?project={self._place.project}",
            state=_state(job.state),
            root=str(job.runtime_config.gcs_output_directory),
            tasks=tasks,
            error=str(job.error.message),
            created=_time(job.create_time),
        )

    def _schedule(self, schedule: Any) -> Schedule:
        schedule_id = str(schedule.name).rpartition("/")[2]
        state = str(schedule.state.name)
        return Schedule(
            schedule_id=schedule_id,
            name=str(schedule.display_name),
            cron=str(schedule.cron),
            state=_SCHEDULE_STATES.get(state, state),
            max_concurrency=int(schedule.max_concurrent_active_run_count or schedule.max_concurrent_run_count),
            next_run=_time(schedule.next_run_time),
            link=f"{_CONSOLE}/locations/{self._place.region}/pipelines/schedules/{schedule_id}"
            f"?project={self._place.project}",
        )


def pipeline_job(package: Package) -> dict[str, Any]:
    """A copy of the file's PipelineJob, with a place for parameters."""
    return {**package.job, "runtimeConfig": {**(package.job.get("runtimeConfig") or {}), **_values(package)}}


def _values(package: Package) -> dict[str, Any]:
    values = (package.job.get("runtimeConfig") or {}).get("parameterValues")
    return {"parameterValues": dict(values)} if values else {}


def _parsed(kind: Any, value: dict[str, Any], path: str) -> Any:
    from google.protobuf import json_format

    message = kind.pb(kind())
    try:
        json_format.ParseDict(value, message)
    except json_format.ParseError as error:
        line = str(error).partition("\n")[0]
        raise UsageError(
            f"spec: {path} is not a PipelineJob: {line} Next: compile it again with this version"
        ) from error
    return kind.wrap(message)


def _state(state: Any) -> str:
    name = str(state.name).removeprefix("PIPELINE_STATE_").replace("UNSPECIFIED", "STATE_UNSPECIFIED")
    name = name.replace("STATE_STATE_", "STATE_")
    return _STATES.get(name, name)


def _time(value: datetime | None) -> str:
    return value.isoformat(timespec="seconds") if value else ""


def _said(error: Any) -> str:
    return re.sub(r"^[A-Z]+ https?://\S+: ", "", str(error.message or ""))


def _tail(error: BaseException) -> str:
    text = str(error.args[0] if error.args else error)
    return re.sub(r"\w*\(?<[^>]+>[,:]?\s*|HTTPS?ConnectionPool\([^)]*\):\s*", "", text)


def _unconnected(error: BaseException) -> Fault:
    text = str(error)
    if "NameResolution" in text or "Name or service not known" in text:
        return Fault("name")
    if "NewConnectionError" in text or "refused" in text:
        return Fault("refused", "connection refused")
    return Fault("broken", _tail(error))
