"""Where a model is pushed to and how many versions stay there: plain settings, no TensorFlow and no cloud client.

    push=Push(
        keep=5,
        targets=(
            ObjectStore("s3://models"),
            Vertex(project="taxis", location="europe-west4", staging="gs://models"),
        ),
    )

The folder `<root>/<task>/serving/<task>` is always pushed to, first. Keys and tokens are no settings: they come from
the environment, as the clients of the clouds read it.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.errors import TaskError, nearest

_BUCKET = re.compile(r"(s3|gs)://[^/@\s]+(/[^@?#\s]+)?")
_MIN_KEPT = 2


@dataclass(frozen=True)
class ObjectStore:
    """A bucket that a model server or KServe reads: `<url>/<task>/<version>/`, and `<url>/<task>/history.jsonl`.

    Attributes:
      url: `s3://bucket[/prefix]` or `gs://bucket[/prefix]`.
    """

    KIND: ClassVar[str] = "object_store"
    url: str

    def __post_init__(self) -> None:
        _require_bucket("url", self.url)
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Vertex:
    """A model of Vertex AI's registry, deployed to an endpoint that sends all its traffic to it.

    Attributes:
      project: of Google Cloud.
      location: its region, such as "europe-west4".
      staging: `gs://bucket[/prefix]` in which Vertex finds the files; what `ObjectStore` makes of it.
      image: the container that serves; the prebuilt one of TensorFlow by default.
      endpoint: the display name of the endpoint; the task's name by default. It is made where there is none.
      machine: type of the machines.
      replicas: the least number of them.
      api_endpoint: of the API in place of the location's; one that begins with `http://` is asked without credentials.
    """

    KIND: ClassVar[str] = "vertex"
    project: str
    location: str
    staging: str
    image: str = "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest"
    endpoint: str | None = None
    machine: str = "n1-standard-2"
    replicas: int = 1
    api_endpoint: str | None = None

    def __post_init__(self) -> None:
        _require_bucket("staging", self.staging)
        if not self.staging.startswith("gs://"):
            raise TaskError(f"push: staging: Vertex AI reads gs:// only. Received: staging={self.staging!r}")
        for name in ("project", "location", "image", "machine"):
            if not getattr(self, name):
                raise TaskError(f"push: Vertex: {name}: expected a name. Received: {name}=''")
        if self.replicas < 1:
            raise TaskError(f"push: Vertex: replicas: expected at least 1. Received: replicas={self.replicas}")

    def __str__(self) -> str:
        return f"vertex:{self.project}/{self.location}"


Target = ObjectStore | Vertex
_KINDS: dict[str, type[Target]] = {kind.KIND: kind for kind in (ObjectStore, Vertex)}


@dataclass(frozen=True)
class Push:
    """What is done with a model that may be pushed.

    Attributes:
      keep: how many of the newest versions stay in the folder, at least 2: the served one, and one to go back to. What
        was rolled back is kept apart, as many again.
      targets: places beside the folder, each pushed to after it.
    """

    keep: int = 5
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        if self.keep < _MIN_KEPT:
            raise TaskError(
                f"push: keep: expected at least {_MIN_KEPT}, the served version and one to go back to. "
                f"Received: keep={self.keep}"
            )
        names = [str(target) for target in self.targets]
        for name in sorted({name for name in names if names.count(name) > 1}):
            raise TaskError(f"push: targets: {name} is given more than once.")


def as_json(target: Target) -> dict[str, Any]:
    """A target as history and the Pusher's parameter hold it; `target_of` reads it."""
    return {"kind": target.KIND, **dataclasses.asdict(target)}


def target_of(values: Mapping[str, Any]) -> Target:
    """The target that `as_json` wrote.

    Raises:
      TaskError: there is no such kind, or a setting is out of range.
    """
    fields = dict(values)
    kind = str(fields.pop("kind", ""))
    if kind not in _KINDS:
        raise TaskError(f"push: targets: no kind {kind!r}.{nearest(kind, _KINDS)}")
    return _KINDS[kind](**fields)


def _require_bucket(name: str, url: str) -> None:
    """Raises TaskError unless a setting names a bucket; an address with a key in it is refused without repeating it."""
    if "@" in url or "?" in url:
        raise TaskError(f"push: {name}: expected a bucket without credentials: they come from the environment.")
    if not _BUCKET.fullmatch(url.rstrip("/")):
        raise TaskError(f"push: {name}: expected s3://bucket/prefix or gs://bucket/prefix. Received: {name}={url!r}")
