"""Which versions are loaded, and which of them answers a request.

    manager = Manager(settings, metrics, None)
    manager.start()
    with manager.pinned("taxi_tips") as servable:
        answers = await servable.run(servable.signature(""), {"examples": rows})

One thread looks at the folders, loads and unloads (see `loading`). A request pins the version that answers it, and a
version is unloaded when the last pin is gone.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tensorflow_serving.config import model_server_config_pb2

from serving import config_file
from serving.errors import Code, ServingError
from serving.loading import Loader
from serving.metrics import Metrics
from serving.models import AVAILABLE, UNLOADING, Model, Version, VersionStatus, unknown_label
from serving.request_log import RequestLog
from serving.servable import Servable
from serving.settings import ModelConfig, Settings

__all__ = ["Manager", "Servable", "VersionStatus"]

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 0.5
_UNSETTLED_ROUNDS = 20
_STOP_SECONDS = 10.0


class Manager:
    """Loads and unloads versions as their folders and the configuration say; any thread may ask it."""

    def __init__(self, settings: Settings, metrics: Metrics, log: RequestLog | None = None) -> None:
        """Nothing is loaded yet.

        Args:
          settings: the models, or the file that says them; how often to look.
          metrics: told of loads and runs.
          log: where a sample of the requests goes.
        """
        self._settings = settings
        self._metrics = metrics
        self._lock = threading.Lock()
        self._models: dict[str, Model] = {}
        self._loader = Loader(self._lock, settings, metrics, log)
        self._changed = threading.Condition()
        self._asked = 0
        self._answered = 0
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._config_text: str | None = None

    def start(self) -> None:
        """Reads the configuration and returns when the first loads have ended, well or not.

        Raises:
          ServingError: the configuration is wrong; nothing was started.
        """
        models = self._settings.models
        if self._settings.config_file is not None:
            models = config_file.models_of(config_file.read(self._settings.config_file))
            self._config_text = _text(self._settings.config_file)
        config_file.check(models)
        self._apply(models)
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()
        self._round_trip()

    def stop(self) -> None:
        """Unloads everything; waits a little for requests that are under way."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            for model in self._models.values():
                model.wanted = False
        until = time.monotonic() + _STOP_SECONDS
        self._loader.visit_all(self._models)
        while self._models and time.monotonic() < until:  # A version that is held wakes us when it is free.
            self._wake.wait(_AGAIN_SECONDS)
            self._wake.clear()
            self._loader.visit_all(self._models)

    def pinned(self, model: str, version: int | None = None, label: str | None = None) -> "_Pin":
        """A context with the Servable that answers a request; it stays loaded while the context is open.

        Args:
          model: its name.
          version: its number; None with no label is the latest one that is available.
          label: of a version, in the configuration.

        Raises:
          ServingError: when the context is entered: NOT_FOUND, or INVALID_ARGUMENT for no name or an unknown label.
        """
        return _Pin(self, model, version, label)

    def acquire(self, name: str, version: int | None, label: str | None) -> Version:
        """Pins a version; see `pinned`, which is what to use."""
        if not name:
            raise ServingError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        with self._lock:
            model = self._models.get(name)
            if model is None:
                if label is not None:
                    raise unknown_label(label)
                asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
            found = model.find(version, label)
            found.pins += 1
            return found

    def release(self, version: Version) -> None:
        """Ends `acquire`."""
        with self._lock:
            version.pins -= 1
            last = not version.pins and version.state == UNLOADING
        if last:
            self._wake.set()

    def status(self, model: str, version: int | None = None, label: str | None = None) -> list[VersionStatus]:
        """The states of a model's versions, or of one of them, the newest first.

        Raises:
          ServingError: NOT_FOUND in TF Serving's words; INVALID_ARGUMENT for no name or an unknown label.
        """
        if not model:
            raise ServingError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        with self._lock:
            found = self._models.get(model)
            if label is not None:
                if found is None:
                    raise unknown_label(label)
                version = found.labelled(label)
            versions = dict(found.versions) if found else {}
        if version is not None:
            if version not in versions:
                raise ServingError(Code.NOT_FOUND, f"Could not find version {version} of model {model}")
            return [versions[version].status()]
        if not versions:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {model}")
        return [versions[number].status() for number in sorted(versions, reverse=True)]

    def models(self) -> list[str]:
        """The names of the models that are configured."""
        with self._lock:
            return sorted(name for name, model in self._models.items() if model.wanted)

    def ready(self) -> bool:
        """Whether each configured model has a version that answers."""
        with self._lock:
            wanted = [model for model in self._models.values() if model.wanted]
            return bool(wanted) and all(model.available() for model in wanted)

    def reload_config(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Serves other models, or in another way; returns when the loads this takes have ended.

        Raises:
          ServingError: the configuration is wrong, and the old one stays; or a new model has no version that loads.
        """
        models = config_file.models_of(config)
        new = sorted({model.name for model in models} - set(self.models()))
        self._apply(models)
        self._round_trip()
        failed = [self._why_not(name) for name in new]
        if reasons := [reason for reason in failed if reason]:
            raise ServingError(
                Code.UNKNOWN, f"{len(reasons)} model(s) did not become available: {{{', '.join(reasons)}}}"
            )

    def _why_not(self, name: str) -> str | None:
        with self._lock:
            model = self._models[name]
            if model.available():
                return None
            versions = [version.status() for version in model.versions.values()]
        failed = next((status for status in versions if status.code is not Code.OK), None)
        if failed is None:
            return f"{{name: {name}}} due to error: no version was found in {model.config.base_path}"
        return f"{{name: {name} version: {failed.version}}} due to error: {failed.code.name}: {failed.message}"

    def _apply(self, models: Sequence[ModelConfig]) -> None:
        """Takes a configuration that has been checked.

        Raises:
          ServingError: FAILED_PRECONDITION where a label would move to a version that does not answer.
        """
        with self._lock:
            for config in models:
                _check_labels(config, self._models.get(config.name))
            named = {config.name: config for config in models}
            for name, config in named.items():
                known = self._models.setdefault(name, Model(config))
                if known.config != config:
                    known.told.clear()
                known.config, known.wanted = config, True
            for name, known in self._models.items():
                known.wanted = name in named
        self._metrics.set_models(named)

    def _round_trip(self) -> None:
        """Lets the thread look at everything, and waits until it has."""
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._wake.set()
            self._changed.wait_for(lambda: self._answered >= mine or self._stopping)

    def _work(self) -> None:
        """The thread."""
        unsettled = 0
        read_at = time.monotonic()
        poll = self._settings.poll_seconds
        config_poll = self._settings.config_poll_seconds
        while not self._stopping:
            self._wake.clear()
            if config_poll and time.monotonic() >= read_at + config_poll:
                read_at = time.monotonic()
                self._read_again()
            with self._changed:
                asked = self._asked
            try:
                pending = self._loader.visit_all(self._models)
            except Exception:  # Whatever a folder holds, the next look has to come.
                _log.exception("looking at the models failed")
                pending = False
            unsettled = unsettled + 1 if pending else 0
            if not pending or unsettled >= _UNSETTLED_ROUNDS:
                with self._changed:
                    self._answered = max(self._answered, asked)
                    self._changed.notify_all()
            waits = [seconds for seconds in (poll, config_poll) if seconds]
            if pending:
                waits.append(_AGAIN_SECONDS)
            self._wake.wait(min(waits) if waits else None)
        with self._changed:
            self._changed.notify_all()

    def _read_again(self) -> None:
        """Takes the configuration from its file, if it has changed; one that is wrong is logged, and the old one stays."""
        file = self._settings.config_file
        if file is None:
            return
        try:
            text = _text(file)
            if text == self._config_text:
                return
            self._config_text = text
            self._apply(config_file.models_of(config_file.parse(text or "", str(file))))
            _log.info("%s: the configuration was read again", file)
        except ServingError as error:
            _log.error("%s: the old configuration stays: %s", file, error.message)


class _Pin:
    """The context of Manager.pinned."""

    __slots__ = ("_asked", "_manager", "_version")

    def __init__(self, manager: Manager, model: str, version: int | None, label: str | None) -> None:
        self._manager = manager
        self._asked = (model, version, label)

    def __enter__(self) -> Servable:
        self._version = self._manager.acquire(*self._asked)
        servable = self._version.servable
        if servable is None:
            raise RuntimeError(f"version {self._version.number} is {self._version.state} without a model")
        return servable

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.release(self._version)


def _check_labels(config: ModelConfig, known: Model | None) -> None:
    """A label may be new, or stay; it moves only to a version that answers, so that no request finds nothing.

    TF Serving does so with --allow_version_labels_for_unavailable_models.
    """
    if known is None:
        return
    for label, version in config.labels.items():
        moved = known.config.labels.get(label, version) != version
        there = known.versions.get(version)
        if moved and (there is None or there.state != AVAILABLE):
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"Request to assign label to version {version} of model {config.name}, "
                "which is not currently available for inference",
            )


def _text(file: Path) -> str | None:
    """A file's text; None where there is none to read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
