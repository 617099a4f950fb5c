"""Going back to a version, or forward again: planned and checked first, then done by renames.

The watched folder's highest number is what is served. So a rollback moves every version above the wanted one out of the
folder, the highest last: until that last rename the server sees nothing of it, and after it the wanted version is the
highest. The folder is never without a version. A version that was withdrawn earlier is moved in first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import MillraceError, UsageError, nearest
from pipeline.push import history, versions
from pipeline.push.versions import Places


@dataclass(frozen=True)
class Plan:
    """The way to another version.

    Attributes:
      version: to be served.
      folder: where it is now.
      served: what is served now.
      restored: whether `version` was withdrawn and moves in.
      withdrawn: the names of what moves out, in this order.
    """

    version: int
    folder: Path
    served: int
    restored: bool
    withdrawn: tuple[str, ...]


def plan(places: Places, to: int | None = None) -> Plan:
    """What a rollback would do.

    Args:
      places: the folders.
      to: the version to serve; by default the one below what is served.

    Raises:
      UsageError: nothing was pushed, there is nothing to go back to, no such version, or it is served already.
    """
    present, aside = versions.whole(places.watched), versions.whole(places.withdrawn)
    if not present:
        raise UsageError(
            f"rollback: nothing was pushed to {places.watched}. Expected a version to go back from. "
            f"Next: millrace run --task {places.watched.name}"
        )
    served, earlier = present[-1], present[:-1]
    if to is None and not earlier:
        rest = f" Next: --to one of the withdrawn: {', '.join(map(str, aside))}" if aside else ""
        raise UsageError(f"rollback: {served} is the only version in {places.watched}: nothing to go back to.{rest}")
    version = earlier[-1] if to is None else to
    if version == served:
        raise UsageError(f"rollback: --to {version}: it is served already. Received: to={version}, served={served}")
    if version not in (*present, *aside):
        known = nearest(str(version), [str(number) for number in (*present, *aside)])
        raise UsageError(f"rollback: --to {version}: no such version of {places.watched.name}.{known}")
    restored = version not in present
    folder = (places.withdrawn if restored else places.watched) / str(version)
    out = [name for name in versions.names(places.watched) if int(name) > version]
    # The served one last: a broken folder above it is not served, and moves before.
    out.sort(key=lambda name: (name == str(served), int(name)))
    for name in out:
        if (places.withdrawn / name).exists():
            raise UsageError(
                f"rollback: {name} is in {places.watched} and in {places.withdrawn}. Expected it once. "
                "Next: remove the copy that is not wanted"
            )
    return Plan(version, folder, served, restored, tuple(out))


def roll_back(places: Places, planned: Plan, reason: str | None, check: Callable[[Path], object]) -> history.Event:
    """Serves another version; the caller holds the lock of the task's root.

    Args:
      places: the folders.
      planned: by `plan`, under the same lock.
      reason: why, for the history.
      check: is given the version's folder, and raises where it does not load or answer.

    Returns:
      The event in the history.

    Raises:
      MillraceError: the version does not pass the check; nothing was changed.
    """
    try:
        check(planned.folder)
    except MillraceError as error:
        raise MillraceError(
            f"rollback: version {planned.version} can't be served: {error}. {planned.served} is served as before. "
            "Next: millrace history, and --to another version"
        ) from error
    intent = history.event(
        "rolling_back",
        planned.version,
        previous=str(planned.served),
        model=history.models_of(places).get(str(planned.version)),
        reason=reason,
        withdrawn=list(planned.withdrawn),
        restored=planned.restored,
    )
    history.append(places, intent)
    if planned.restored:
        versions.move(planned.folder, places.watched / str(planned.version))
    for name in planned.withdrawn:
        versions.move(places.watched / name, places.withdrawn / name)
    done = {**intent, "action": "rolled_back"}
    history.append(places, done)
    return done
