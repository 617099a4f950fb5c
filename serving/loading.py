"""One look at the models' folders: what is wanted is loaded, then what is no longer wanted is unloaded.

The order is TF Serving's: a new version is loaded and warmed up before the old one goes, and while none of those wanted
loads, the old ones stay. Where a base path is not there at all, what is served stays too; a version whose folder alone
has gone is unloaded.
"""

import logging
import threading
import time
from pathlib import Path

from serving import versions, warmup
from serving.batching import Batcher
from serving.errors import Code, ServingError
from serving.metrics import Metrics
from serving.models import AVAILABLE, END, LOADING, UNLOADING, Model, Version
from serving.request_log import RequestLog
from serving.servable import Servable
from serving.session import SessionModel
from serving.settings import Settings

_log = logging.getLogger(__name__)


class Loader:
    """Changes the states of versions; used by one thread at a time."""

    def __init__(self, lock: threading.Lock, settings: Settings, metrics: Metrics, log: RequestLog | None) -> None:
        """Does nothing yet.

        Args:
          lock: held while a state changes.
          settings: limits, and how often to try.
          metrics: told of loads.
          log: for the servables.
        """
        self._lock = lock
        self._settings = settings
        self._metrics = metrics
        self._log = log

    def visit_all(self, models: dict[str, Model]) -> bool:
        """Looks at each model; returns whether there is more to do soon: a copy to be completed, a load to be retried."""
        with self._lock:
            names = list(models)
        pending = False
        for name in names:
            model = models[name]
            pending |= self._visit(model)
            self._close_unloaded(model)
            with self._lock:
                model.forget_ended()
                ended = all(version.state == END for version in model.versions.values())
                if not model.wanted and ended:
                    del models[name]
        return pending

    def _visit(self, model: Model) -> bool:
        if not model.wanted:
            self._unload(model.available(), model)
            return False
        found = versions.scan(model.config.base_path)
        if found is None:
            self._tell(model, f"Could not find base path {model.config.base_path} for servable {model.config.name}")
            return False
        wanted = versions.wanted(model.config.policy, found.paths)
        if not found.paths:
            self._tell(
                model,
                f"No versions of servable {model.config.name} found under base path {model.config.base_path}. Did you "
                "forget to name your leaf directory as a number (eg. '/1/')?",
            )
        for version in sorted(set(model.config.policy.versions) - set(wanted)):
            self._tell(
                model, f"Version {version} of servable {model.config.name}, which is to be served, was not found"
            )
        pending = False
        for number in reversed(wanted):
            pending |= self._visit_version(model, number, found.paths[number], found.ignored.get(number, ()))
        available = model.available()
        if not wanted or any(version.number in wanted for version in available):
            self._unload([version for version in available if version.number not in wanted], model)
        return pending

    def _visit_version(self, model: Model, number: int, path: Path, ignored: tuple[str, ...]) -> bool:
        """Loads a version if it is time to; returns whether to look at it again soon."""
        version = model.versions.get(number)
        if version is not None and version.servable is not None:
            return version.state == UNLOADING  # Wanted again: it is loaded anew when it has ended.
        files = versions.listing(path)
        if version is None or version.path != path:
            version = Version(number, path)
            with self._lock:
                model.versions[number] = version
        if ignored:
            version.note = f"loaded from {path.name}; {', '.join(ignored)} has the same number and is ignored"
            self._tell(
                model, f"Duplicate version directories of {model.config.name}: version {number} is {version.note}"
            )
        if version.tried is not None and files != version.tried:
            version.attempts, version.tried = 0, None
        if version.attempts >= self._settings.load_attempts:
            return False
        whole = versions.settled(files, version.seen)
        version.seen = files
        if not whole:
            return True
        version.tried = files
        self._load(model, version)
        return version.state == END and version.attempts < self._settings.load_attempts

    def _load(self, model: Model, version: Version) -> None:
        with self._lock:
            version.state = LOADING
        version.attempts += 1
        started = time.perf_counter()
        name = model.config.name
        try:
            servable = self._servable(name, version)
        except ServingError as error:
            with self._lock:
                version.state, version.error = END, error
            self._metrics.loaded(str(version.path), error.code, 0.0)
            _log.error("%s version %d does not load: %s", name, version.number, error.message)
            return
        seconds = time.perf_counter() - started
        with self._lock:
            version.servable, version.state, version.error, version.attempts = servable, AVAILABLE, None, 0
        self._metrics.loaded(str(version.path), Code.OK, seconds)
        _log.info("%s version %d is available after %.1f s", name, version.number, seconds)

    def _servable(self, name: str, version: Version) -> Servable:
        """Loads and warms up."""
        model = None
        try:
            model = SessionModel(version.path)
            batcher = Batcher(model, name, self._settings.limits, self._metrics)
            warmup.run(Servable(name, version.number, model, batcher), version.path)
            return Servable(name, version.number, model, batcher, self._log)
        except Exception as error:
            if model is not None:
                batcher.close()
                model.close()
            if isinstance(error, ServingError):
                raise
            raise ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}") from error

    def _unload(self, gone: list[Version], model: Model) -> None:
        with self._lock:
            for version in gone:
                version.state = UNLOADING
        for version in gone:
            _log.info("%s version %d is being unloaded", model.config.name, version.number)

    def _close_unloaded(self, model: Model) -> None:
        """Frees versions that nobody holds any more."""
        with self._lock:
            free = [v for v in model.versions.values() if v.state == UNLOADING and not v.pins]
        for version in free:
            servable = version.servable
            if servable is not None:
                servable.batcher.close()
                servable.model.close()
            with self._lock:
                version.servable, version.state, version.tried, version.seen = None, END, None, None
            self._metrics.forget(str(version.path))
            _log.info("%s version %d is unloaded", model.config.name, version.number)

    def _tell(self, model: Model, message: str) -> None:
        """Logs what is odd in a folder, once."""
        if message not in model.told:
            model.told.add(message)
            _log.warning("%s", message)
