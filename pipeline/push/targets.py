"""What is served in the folder is served at every other target too: after a push, after a rollback, and after a repair.

Every target is brought to the same state, whatever it has come to before: what it has is not sent again. So whoever
failed half-way does the same once more.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import MillraceError
from pipeline.push import history, object_store, vertex
from pipeline.push.settings import ObjectStore, Target, as_json
from pipeline.push.versions import Places


def deliver(
    places: Places, targets: Sequence[Target], version: int, keep: int | None, again: str, run_id: str | None = None
) -> None:
    """Makes a version of the folder the served one at each target, and notes it in the history.

    Args:
      places: the folders.
      targets: a failure of one does not keep the others from being tried.
      version: that the folder serves.
      keep: how many versions stay where a target holds several; None removes none.
      again: what to do in order to try again, for the error.
      run_id: for the history.

    Raises:
      MillraceError: of all targets that failed; the folder serves the version none the less.
    """
    failed = []
    for target in targets:
        about = {"target": as_json(target), "run_id": run_id}
        try:
            if _serve(target, places, version, keep):
                history.append(places, history.event("delivered", version, **about))
            if isinstance(target, ObjectStore):
                object_store.put_history(target, places.watched.name, places.history)
        except MillraceError as error:
            failed.append(f"{target}: {str(error).removeprefix('data: ')}")
            history.append(places, history.event("not_delivered", version, **about, reason=failed[-1]))
    if failed:
        listed = "\n".join(f"  - {line}" for line in failed)
        raise MillraceError(
            f"push: version {version} is served from {places.watched}, but not at {len(failed)} of {len(targets)} "
            f"other targets:\n{listed}\nNext: mend the cause; then {again}. What was delivered is not sent again"
        )


def _serve(target: Target, places: Places, version: int, keep: int | None) -> bool:
    folder: Path = places.watched / str(version)
    if isinstance(target, ObjectStore):
        return object_store.serve(target, places.watched.name, version, folder, keep)
    return vertex.serve(target, places.watched.name, version, folder, keep)
