"""Kubeflow Pipelines: runs, and schedules as its recurring runs (API v2beta1)."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pipeline.errors import MillraceError, UsageError
from pipeline.kubeflow.api import cron, faults, kfp_http
from pipeline.kubeflow.api.backend import Job, Order, Schedule, TaskRun, Timetable
from pipeline.kubeflow.api.package import Package, Target, executors
from pipeline.kubeflow.api.retrying import Clock, Fault, patiently, while_waiting

_DEFAULT_EXPERIMENT = "Default"
_PAGE = 100
_MOST_CONCURRENT = 10
_LOG_LINES = 20
_DRIVER = "-driver"
# The template that Kubeflow Pipelines gives a container's pod; its name is in the pod's.
_POD_TEMPLATES = ("system-container-impl", "retry-system-container-impl")
_STATUS = {"ENABLED": "ENABLED", "DISABLED": "PAUSED"}


class Kfp:
    """A server of Kubeflow Pipelines."""

    target: Target = "kfp"

    def __init__(
        self,
        server: kfp_http.Server,
        clock: Clock,
        experiment: str | None = None,
        cluster_zone: str = "UTC",
    ) -> None:
        """Connects, which sends nothing yet.

        Args:
          server: where it is.
          clock: for the waits between attempts.
          experiment: that runs belong to, by name; made if it is not there.
          cluster_zone: the time zone of the cluster's schedules.
        """
        import kfp_server_api as api

        self._api: Any = api
        self._server = server
        self._clock = clock
        self._experiment = experiment
        self._cluster_zone = cluster_zone
        self._client: Any = kfp_http.connect(server, clock)
        self._runs: Any = api.RunServiceApi(self._client)
        self._recurring: Any = api.RecurringRunServiceApi(self._client)
        self._experiments: Any = api.ExperimentServiceApi(self._client)

    def submit(self, order: Order) -> Job:
        """Starts a run; see `Backend.submit`."""
        with self._told("submit"):
            mark = _mark()
            run = self._api.V2beta1Run(**self._ordered(order, mark))
            made = patiently(
                lambda: self._runs.run_service_create_run(run),
                self._clock,
                made=lambda: self._find(self._list_runs, "runs", order.name, mark),
            )
        return self._job(made)

    def _ordered(self, order: Order, mark: str) -> dict[str, Any]:
        """What a run and a recurring run have in common."""
        return {
            "display_name": order.name,
            "description": mark,
            "experiment_id": self._experiment_id(),
            "pipeline_spec": pipeline_spec(order.package),
            "runtime_config": self._runtime(order),
            "service_account": order.service_account,
        }

    def _runtime(self, order: Order) -> Any:
        """Parameters, and the root: the server reads `defaultPipelineRoot` of no spec, only what a run is started with."""
        root = order.package.spec.get("defaultPipelineRoot")
        return self._api.V2beta1RuntimeConfig(parameters=dict(order.parameters), pipeline_root=root)

    def job(self, job_id: str, *, within: float | None = None) -> Job:
        """A run as it is now."""
        with self._told(f"run {job_id}"):
            return self._job(patiently(lambda: self._get_run(job_id), self._clock, while_waiting(within)))

    def cancel(self, job_id: str) -> None:
        """Terminates a run."""
        with self._told(f"cancel {job_id}"):
            patiently(lambda: self._runs.run_service_terminate_run(job_id), self._clock)

    def recent(self, count: int) -> list[Job]:
        """The newest runs."""
        with self._told("runs"):
            found = patiently(lambda: self._list_runs(page_size=count, sort_by="created_at desc"), self._clock)
        return [self._job(run) for run in found.runs or ()]

    def log(self, job: Job, task: TaskRun) -> str:
        """The end of a pod's log, by the old endpoint that the server still has; a courtesy, so no failure matters."""
        for pod in task.pods[:4]:
            path = f"/apis/v1alpha1/runs/{quote(job.job_id)}/nodes/{quote(pod)}/log"
            with contextlib.suppress(Fault, UnicodeDecodeError):
                headers: dict[str, str] = {}
                self._client.update_params_for_auth(headers, [], ["Bearer"])
                answer = self._client.request("GET", f"{self._server.url}{path}", headers=headers)
                lines = bytes(answer.data).decode("utf-8", "replace").splitlines()
                if lines and "error_message" not in lines[-1]:
                    return "\n".join(lines[-_LOG_LINES:])
        return ""

    def log_command(self, job: Job, task: TaskRun | None) -> str:
        """kubectl with the label that all pods of a run have."""
        namespace = self._server.namespace or "kubeflow"
        return f"kubectl -n {namespace} logs -l pipeline/runid={job.job_id} -c main --prefix --tail=50"

    def fits(self, timetable: Timetable) -> str:
        """Six fields in the cluster's time zone."""
        if timetable.max_concurrency > _MOST_CONCURRENT:
            raise UsageError(
                f"--max-concurrency: Kubeflow Pipelines has 1 to {_MOST_CONCURRENT}. Received: {timetable.max_concurrency}"
            )
        return timetable.cron.for_kfp(self._cluster_zone, self._clock.now())

    def schedules(self, name: str | None = None) -> list[Schedule]:
        """Recurring runs, all pages."""
        with self._told("schedules"):
            return [self._schedule(found) for found in self._all_recurring(name)]

    def create_schedule(self, order: Order, timetable: Timetable) -> Schedule:
        """Makes a recurring run, enabled."""
        expression = self.fits(timetable)
        with self._told("schedule"):
            mark = _mark()
            recurring = self._api.V2beta1RecurringRun(
                **self._ordered(order, mark),
                max_concurrency=str(timetable.max_concurrency),
                no_catchup=not timetable.catch_up,
                mode=self._api.RecurringRunMode.ENABLE,
                trigger=self._api.V2beta1Trigger(
                    cron_schedule=self._api.V2beta1CronSchedule(
                        cron=expression, start_time=_utc(timetable.start), end_time=_utc(timetable.end)
                    )
                ),
            )
            made = patiently(
                lambda: self._recurring.recurring_run_service_create_recurring_run(recurring),
                self._clock,
                made=lambda: next((one for one in self._all_recurring(order.name) if one.description == mark), None),
            )
        return self._schedule(made)

    def pause(self, schedule_id: str) -> None:
        """Disables a recurring run."""
        with self._told("pause"):
            patiently(lambda: self._recurring.recurring_run_service_disable_recurring_run(schedule_id), self._clock)

    def resume(self, schedule_id: str, *, catch_up: bool = False) -> None:
        """Enables a recurring run; whether it catches up was said when it was made."""
        if catch_up:
            raise UsageError(
                "--catch-up: Kubeflow Pipelines has it for the whole schedule, not for one resume. "
                "Next: schedule create … --catch-up --replace"
            )
        with self._told("resume"):
            patiently(lambda: self._recurring.recurring_run_service_enable_recurring_run(schedule_id), self._clock)

    def delete(self, schedule_id: str) -> None:
        """Deletes a recurring run. Its runs belong to it, and would be deleted with it: they are orphaned instead."""
        with self._told("delete"):
            try:
                patiently(
                    lambda: self._recurring.recurring_run_service_delete_recurring_run(
                        schedule_id, propagation_policy=self._api.V2beta1DeletePropagationPolicy.ORPHAN
                    ),
                    self._clock,
                )
            except Fault as fault:
                # An attempt whose answer was lost has done it.
                if fault.status != 404 or fault.attempts == 1:
                    raise

    def _told(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return faults.told(self._server.name, doing, _advice(self._server))

    def _get_run(self, job_id: str) -> Any:
        return self._runs.run_service_get_run(job_id)

    def _list_runs(self, **options: Any) -> Any:
        return self._runs.run_service_list_runs(**self._scope(), **options)

    def _scope(self) -> dict[str, str]:
        return {"namespace": self._server.namespace} if self._server.namespace else {}

    def _find(self, search: Any, attribute: str, name: str, mark: str) -> Any | None:
        found = getattr(search(filter=_named(name), page_size=_PAGE), attribute) or ()
        return next((one for one in found if one.description == mark), None)

    def _all_recurring(self, name: str | None) -> Iterator[Any]:
        token = ""
        options = {"filter": _named(name)} if name else {}
        while True:
            page = patiently(
                lambda token=token: self._recurring.recurring_run_service_list_recurring_runs(  # type: ignore[misc]
                    **self._scope(), **options, page_token=token, page_size=_PAGE
                ),
                self._clock,
            )
            yield from page.recurring_runs or ()
            token = page.next_page_token
            if not token:
                return

    def _experiment_id(self) -> str:
        """The experiment of the name, made if it is not there."""
        name = self._experiment or _DEFAULT_EXPERIMENT

        def find() -> Any | None:
            found = self._experiments.experiment_service_list_experiments(
                **self._scope(), filter=_named(name), page_size=_PAGE
            )
            return next(iter(found.experiments or ()), None)

        experiment = patiently(find, self._clock)
        if experiment is None:
            made = self._api.V2beta1Experiment(display_name=name, **self._scope())
            experiment = patiently(
                lambda: self._experiments.experiment_service_create_experiment(made), self._clock, made=find
            )
        if experiment.storage_state == "ARCHIVED":
            raise MillraceError(
                f"--experiment: {name!r} is archived, and takes no runs. Next: restore it, or choose another --experiment"
            )
        return str(experiment.experiment_id)

    def _link(self, page: str) -> str:
        return f"{(self._server.ui or self._server.url).rstrip('/')}/#/{page}"

    def _job(self, run: Any) -> Job:
        spec = _spec_of(run.pipeline_spec)
        root = (run.runtime_config and run.runtime_config.pipeline_root) or spec.get("defaultPipelineRoot") or ""
        details = (run.run_details and run.run_details.task_details) or ()
        return Job(
            job_id=str(run.run_id),
            name=str(run.display_name or ""),
            link=self._link(f"runs/details/{run.run_id}"),
            state=str(run.state or "PENDING").replace("RUNTIME_STATE_UNSPECIFIED", "PENDING"),
            root=str(root),
            tasks=_tasks(details, executors(spec)),
            error=(run.error and run.error.message) or _last_error(run.state_history),
            created=str(run.created_at or ""),
        )

    def _schedule(self, recurring: Any) -> Schedule:
        trigger = recurring.trigger and recurring.trigger.cron_schedule
        expression = str(trigger.cron) if trigger else "an interval"
        state = _STATUS.get(recurring.status, "ENABLED" if recurring.mode == "ENABLE" else "PAUSED")
        return Schedule(
            schedule_id=str(recurring.recurring_run_id),
            name=str(recurring.display_name),
            cron=expression,
            state=state,
            max_concurrency=int(recurring.max_concurrency or 1),
            next_run=self._next_run(expression, trigger) if state == "ENABLED" else "",
            link=self._link(f"recurringrun/details/{recurring.recurring_run_id}"),
        )

    def _next_run(self, expression: str, trigger: Any) -> str:
        """When a schedule fires next, worked out here: the server does not say."""
        now = self._clock.now()
        with contextlib.suppress(UsageError):
            begin = max(now, trigger.start_time) if trigger and trigger.start_time else now
            found = cron.parse(expression, self._cluster_zone).next_times(begin, 1)
            if found and not (trigger.end_time and found[0] > trigger.end_time):
                return found[0].isoformat(timespec="seconds")
        return ""


def pipeline_spec(package: Package) -> dict[str, Any]:
    """The spec in the form that the API takes: both documents where there are two.

    Raises:
      UsageError: a field is none of the official proto's.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        spec = json_format.ParseDict(package.spec, pipeline_spec_pb2.PipelineSpec())
        platform = json_format.ParseDict(package.platform, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        line = str(error).partition("\n")[0]
        raise UsageError(
            f"spec: {package.path} is not a pipeline spec: {line} Next: compile it again with this version"
        ) from error
    found = json_format.MessageToDict(spec)
    if not package.platform:
        return dict(found)
    return {"pipeline_spec": found, "platform_spec": json_format.MessageToDict(platform)}


def _tasks(details: Any, known: set[str]) -> dict[str, TaskRun]:
    """The tasks of the spec out of the nodes of the workflow: `X`, its driver `X-driver`, its pod `executor`, groups."""
    found: dict[str, TaskRun] = {}
    for detail in sorted(details, key=lambda one: str(one.start_time or one.create_time or "")):
        name = str(detail.display_name or "")
        task = name.removesuffix(_DRIVER) if name not in known else name
        if known and task not in known:
            continue
        state = str(detail.state or "PENDING").replace("RUNTIME_STATE_UNSPECIFIED", "PENDING")
        if task != name:
            # A driver only counts where the task itself never came.
            if state == "FAILED" or task not in found:
                found[task] = TaskRun(task, state if state == "FAILED" else "PENDING", _error(detail))
            continue
        found[name] = TaskRun(name, state, _error(detail), _pods(detail))
    return found


def _error(detail: Any) -> str:
    return (detail.error and detail.error.message) or _last_error(detail.state_history)


def _last_error(history: Any) -> str:
    said = [status.error.message for status in history or () if status.error and status.error.message]
    return said[-1] if said else ""


def _pods(detail: Any) -> tuple[str, ...]:
    """Names that the pods of a task may have: its own, and of its children, whose nodes lack the template's name."""
    names = [detail.pod_name] if detail.pod_name else []
    for child in detail.child_tasks or ():
        workflow, _, number = str(child.pod_name or "").rpartition("-")
        if workflow:
            names += [f"{workflow}-{template}-{number}" for template in _POD_TEMPLATES] + [child.pod_name]
    return tuple(names)


def _spec_of(value: Any) -> dict[str, Any]:
    found = value if isinstance(value, dict) else {}
    inner = found.get("pipeline_spec")
    return inner if isinstance(inner, dict) else found


def _named(name: str) -> str:
    """The filter on a name. The server decodes it twice, so it is encoded here once more than the client does."""
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    return quote(json.dumps({"predicates": [predicate]}), safe="")


def _mark() -> str:
    """What tells our own run from another of the same name."""
    return f"Submitted by Millrace, {secrets.token_hex(8)}"


def _utc(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at else None


def _advice(server: kfp_http.Server) -> faults.Advice:
    namespace = server.namespace or "NAMESPACE"
    return {
        400: "mend what it names; in multi-user mode --namespace is needed, in single-user mode it must not be given",
        401: f"a new token: kubectl -n {namespace} create token default-editor --audience pipelines.kubeflow.org > FILE, "
        "then --token-file FILE",
        403: f"ask for the role kubeflow-edit (or kubeflow-pipelines-edit) in the namespace {namespace}",
        404: "check --host (it is the address before /apis), --namespace and the id",
        409: "choose another name",
        429: "try again later",
    }
