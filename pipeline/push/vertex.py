"""A version on Vertex AI: uploaded to the registry, deployed to an endpoint, given all its traffic.

The files go to the staging bucket first. A task is one model of the registry, a version of ours one of its versions;
both are found again by their labels, so that nothing is made twice. The version that had the traffic before stays
deployed, for the way back; older ones are undeployed, since each costs a machine.

Credentials are Google's application default ones. Requests that were turned away (429, 503) are repeated for a while.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import MillraceError
from pipeline.push import object_store
from pipeline.push.settings import ObjectStore, Vertex

_TASK_LABEL = "millrace_task"
_VERSION_LABEL = "millrace_version"
_PATIENCE = 120.0
_FIRST_WAIT = 1.0
_OPERATION_SECONDS = 3600.0


def serve(target: Vertex, task: str, version: int, folder: Path, keep: int | None) -> bool:
    """Makes a version the one that the endpoint asks; see `object_store.serve` for the arguments.

    Returns:
      Whether anything had to be done.

    Raises:
      MillraceError: the staging bucket or Vertex AI refuses it, in one sentence.
    """
    staging = ObjectStore(target.staging)
    done = object_store.serve(staging, task, version, folder, keep)
    with _translated(target):
        registry = _Registry(target, task)
        model = registry.find(version)
        if model is None:
            model = registry.upload(version, f"{staging.url}/{task}")
            done = True
        return registry.route(model, version) or done


class _Registry:
    """A task's model and endpoint."""

    def __init__(self, target: Vertex, task: str) -> None:
        from google.cloud import aiplatform_v1

        self._target = target
        self._task = task
        self._parent = f"projects/{target.project}/locations/{target.location}"
        self._models: Any = _client(aiplatform_v1.ModelServiceClient, target)
        self._endpoints: Any = _client(aiplatform_v1.EndpointServiceClient, target)

    def find(self, version: int) -> Any:
        """The version of the registry that was uploaded for a version of ours, or None."""
        model = self._model()
        if model is None:
            return None
        listed = self._call(self._models.list_model_versions, {"name": model.name})
        return next((found for found in listed if found.labels.get(_VERSION_LABEL) == str(version)), None)

    def upload(self, version: int, folder: str) -> Any:
        """Uploads a version and waits for it."""
        earlier = self._model()
        operation = self._call(
            self._models.upload_model,
            {
                "parent": self._parent,
                "parent_model": earlier.name if earlier else "",
                "model": {
                    "display_name": self._task,
                    "artifact_uri": f"{folder}/{version}",
                    "container_spec": {"image_uri": self._target.image},
                    "labels": {_TASK_LABEL: self._task, _VERSION_LABEL: str(version)},
                    "version_aliases": [f"v{version}"],
                },
            },
        )
        operation.result(timeout=_OPERATION_SECONDS)
        return self.find(version) or self._missing(version)

    def route(self, model: Any, version: int) -> bool:
        """Sends all traffic to a model, which is deployed where it is not; returns whether anything was done."""
        endpoint = self._endpoint()
        name = model.name.partition("@")[0]
        deployed = [
            found
            for found in endpoint.deployed_models
            if found.model.partition("@")[0] == name and found.model_version_id == model.version_id
        ]
        before = [identity for identity, share in endpoint.traffic_split.items() if share]
        if not deployed:
            self._deploy(endpoint, f"{name}@{model.version_id}", version)
        elif before != [deployed[0].id]:
            split = {found.id: 100 if found.id == deployed[0].id else 0 for found in endpoint.deployed_models}
            self._call(
                self._endpoints.update_endpoint,
                {
                    "endpoint": {"name": endpoint.name, "traffic_split": split},
                    "update_mask": {"paths": ["traffic_split"]},
                },
            )
        else:
            return False
        self._retire(before)
        return True

    def _deploy(self, endpoint: Any, model: str, version: int) -> None:
        machines = {
            "machine_spec": {"machine_type": self._target.machine},
            "min_replica_count": self._target.replicas,
            "max_replica_count": self._target.replicas,
        }
        display = f"{self._task}-{version}"
        split = {"0": 100, **{found.id: 0 for found in endpoint.deployed_models}}  # "0" is the one of this request
        operation = self._call(
            self._endpoints.deploy_model,
            {
                "endpoint": endpoint.name,
                "deployed_model": {"model": model, "display_name": display, "dedicated_resources": machines},
                "traffic_split": split,
            },
        )
        operation.result(timeout=_OPERATION_SECONDS)

    def _retire(self, before: list[str]) -> None:
        """Undeploys what has no traffic and had none before."""
        endpoint = self._endpoint()
        for found in list(endpoint.deployed_models):
            if not endpoint.traffic_split.get(found.id) and found.id not in before:
                request = {"endpoint": endpoint.name, "deployed_model_id": found.id}
                self._call(self._endpoints.undeploy_model, request).result(timeout=_OPERATION_SECONDS)

    def _model(self) -> Any:
        request = {"parent": self._parent, "filter": f'labels.{_TASK_LABEL}="{self._task}"'}
        return next(iter(self._call(self._models.list_models, request)), None)

    def _endpoint(self) -> Any:
        """The endpoint; it is made where there is none."""
        display = self._target.endpoint or self._task
        request = {"parent": self._parent, "filter": f'display_name="{display}"'}
        found = next(iter(self._call(self._endpoints.list_endpoints, request)), None)
        if found is not None:
            return found
        labels = {_TASK_LABEL: self._task}
        wanted = {"parent": self._parent, "endpoint": {"display_name": display, "labels": labels}}
        return self._call(self._endpoints.create_endpoint, wanted).result(timeout=_OPERATION_SECONDS)

    def _call(self, method: Callable[..., Any], request: dict[str, Any]) -> Any:
        """A request; one that the server turned away unread is repeated, with growing pauses."""
        from google.api_core import exceptions, retry

        turned_away = retry.if_exception_type(exceptions.TooManyRequests, exceptions.ServiceUnavailable)
        patient = retry.Retry(predicate=turned_away, initial=_FIRST_WAIT, maximum=20.0, timeout=_PATIENCE)
        return method(request=request, retry=patient, timeout=60.0)

    def _missing(self, version: int) -> Any:
        raise MillraceError(f"Vertex AI took version {version}, and does not list it. Next: push again")


def _client(kind: Any, target: Vertex) -> Any:
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    address = target.api_endpoint or f"{target.location}-aiplatform.googleapis.com"
    local = address.startswith("http://")
    credentials = AnonymousCredentials() if local else None  # type: ignore[no-untyped-call]
    return kind(credentials=credentials, transport="rest", client_options=ClientOptions(api_endpoint=address))


@contextmanager
def _translated(target: Vertex) -> Iterator[None]:
    """Turns what Google's clients raise into one sentence."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAuthError as error:
        raise MillraceError(
            "there are no valid credentials for Google Cloud. Next: set GOOGLE_APPLICATION_CREDENTIALS, or "
            "gcloud auth application-default login"
        ) from error
    except (exceptions.GoogleAPIError, OSError) as error:
        cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
        said = str(getattr(cause, "message", cause)).partition("\n")[0]
        raise MillraceError(_sentence(cause, said, target)) from error


def _sentence(error: BaseException, said: str, target: Vertex) -> str:
    from google.api_core import exceptions

    if isinstance(error, exceptions.Unauthenticated | exceptions.Unauthorized):
        return "Google Cloud refuses the credentials. Next: renew them (gcloud auth application-default login)"
    if isinstance(error, exceptions.Forbidden):
        return f"not allowed in project {target.project}: {said} Next: grant roles/aiplatform.user to the account"
    if isinstance(error, exceptions.TooManyRequests):
        return (
            f"the quota of {target.project} in {target.location} is used up: {said} Next: wait, or ask for more quota"
        )
    if isinstance(error, exceptions.ServerError):
        return f"Vertex AI fails ({error.code}): {said} Next: try again"
    if isinstance(error, exceptions.GoogleAPIError):
        return f"Vertex AI does not accept it: {said} Next: check project, location, image and machine of the target"
    return f"Vertex AI can't be reached in {target.location}. Next: check the location and the network"
