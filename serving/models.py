"""What the manager knows of a model: its configuration, and the state of each of its versions."""

from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import Code, ServingError
from serving.servable import Servable
from serving.settings import ModelConfig
from serving.versions import Listing

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"
_ENDED_KEPT = 100


@dataclass(frozen=True)
class VersionStatus:
    """A version, as GetModelStatus tells it.

    Attributes:
      version: its number.
      state: START, LOADING, AVAILABLE, UNLOADING or END.
      code: OK, or why it did not load.
      message: the same for people.
    """

    version: int
    state: str
    code: Code = Code.OK
    message: str = ""


@dataclass(eq=False)
class Version:
    """A version that was found.

    Attributes:
      number: its number.
      path: its folder.
      state: see VersionStatus.
      servable: what answers, while it is AVAILABLE or UNLOADING.
      pins: requests that hold it.
      error: why it did not load the last time.
      note: what else there is to say of it.
      attempts: how often it was tried with the folder as it is.
      tried: the folder's files then.
      seen: the folder's files at the last look.
    """

    number: int
    path: Path
    state: str = START
    servable: Servable | None = None
    pins: int = 0
    error: ServingError | None = None
    note: str = ""
    attempts: int = 0
    tried: Listing | None = None
    seen: Listing | None = None

    def status(self) -> VersionStatus:
        """For GetModelStatus."""
        if self.error is not None:
            return VersionStatus(self.number, self.state, self.error.code, self.error.message)
        return VersionStatus(self.number, self.state, Code.OK, self.note)


@dataclass(eq=False)
class Model:
    """A model that is configured, or was and still has a version that is held.

    Attributes:
      config: how it is served.
      versions: by number; versions that have ended too, for GetModelStatus.
      wanted: whether it is configured still.
      told: what was said in the log of its folder, to say it once.
    """

    config: ModelConfig
    versions: dict[int, Version] = field(default_factory=dict)
    wanted: bool = True
    told: set[str] = field(default_factory=set)

    def available(self) -> list[Version]:
        """Versions that answer, ascending."""
        return sorted((v for v in self.versions.values() if v.state == AVAILABLE), key=lambda v: v.number)

    def find(self, version: int | None, label: str | None) -> Version:
        """The version that a request asks for.

        Raises:
          ServingError: in TF Serving's words; NOT_FOUND, or INVALID_ARGUMENT for a label that is not there.
        """
        name = self.config.name
        if label is not None:
            version = self.labelled(label)
        if version is None:
            newest = max((v for v in self.versions.values() if v.state == AVAILABLE), key=_number, default=None)
            if newest is None:
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Latest({name})")
            return newest
        found = self.versions.get(version)
        if found is None or found.state != AVAILABLE:
            raise ServingError(Code.NOT_FOUND, f"Servable not found for request: Specific({name}, {version})")
        return found

    def labelled(self, label: str) -> int:
        """The version of a label; ServingError where there is none."""
        if label not in self.config.labels:
            raise unknown_label(label)
        return self.config.labels[label]

    def forget_ended(self) -> None:
        """Leaves out the oldest of those that ended well, so that the list stays short in years of pushes."""
        ended = sorted(v.number for v in self.versions.values() if v.state == END and v.error is None)
        for number in ended[:-_ENDED_KEPT]:
            del self.versions[number]


def unknown_label(label: str) -> ServingError:
    """TF Serving's words."""
    return ServingError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")


def _number(version: Version) -> int:
    return version.number
