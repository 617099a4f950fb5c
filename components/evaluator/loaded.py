"""The models that this process has loaded: shards that follow one another, or are asked side by side, share them."""

import threading

from pipeline.ingest import files
from pipeline.remote import brought
from serving.errors import Code, ServingError
from serving.session import SessionModel

_MOST = 2
"""A candidate and a baseline."""
_LOCK = threading.Lock()


class _Place:
    """Of a model: loaded when it is first asked for, once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._found: SessionModel | ServingError | None = None

    def model(self) -> SessionModel:
        """The model, or what is wrong with it."""
        with self._lock:
            if self._found is None:
                self._found = _opened(self._path)
        if isinstance(self._found, ServingError):
            raise ServingError(self._found.code, self._found.message)
        return self._found

    def close(self) -> None:
        """Frees the model."""
        if isinstance(self._found, SessionModel):
            self._found.close()


_PLACES: dict[str, _Place] = {}
"""The one that was asked for last is the last."""


def _opened(path: str) -> SessionModel | ServingError:
    try:
        with brought.here(path) as folder:
            try:
                return SessionModel(folder)
            except ServingError as error:
                return ServingError(error.code, error.message.replace(folder, path))
    except files.NotFound as error:
        return ServingError(Code.NOT_FOUND, str(error))


def model(path: str) -> SessionModel:
    """The model of a folder, or of a place in a bucket.

    Raises:
      ServingError: it does not load.
      MillraceError: the bucket can't be reached.
    """
    with _LOCK:
        place = _PLACES.pop(path, None) or _Place(path)
        _PLACES[path] = place
        if len(_PLACES) > _MOST:  # closed when nobody holds it
            del _PLACES[next(iter(_PLACES))]
    return place.model()


def forget() -> None:
    """Closes all models; nobody may be asking one."""
    with _LOCK:
        for place in _PLACES.values():
            place.close()
        _PLACES.clear()
