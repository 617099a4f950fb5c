"""Schedules: a name is there once; replacing makes the new one first, so that no night is without."""

from collections.abc import Callable

from pipeline.errors import MillraceError, UsageError, hint
from pipeline.kubeflow.api.backend import Backend, Order, Schedule, Timetable


def create(
    backend: Backend, order: Order, timetable: Timetable, *, replace: bool, say: Callable[[str], None]
) -> Schedule:
    """Makes a schedule.

    Raises:
      UsageError: the name is taken and `replace` is not given, or the server has no such schedule.
      MillraceError: the old one could not be removed; both are there then.
    """
    backend.fits(timetable)
    old = backend.schedules(order.name)
    if old and not replace:
        listed = "; ".join(f"{one.schedule_id} ({one.state}, {one.cron})" for one in old)
        raise UsageError(
            f"--name: a schedule {order.name!r} is there: {listed}. Expected: a name that is free. "
            "Next: --replace, another --name, or schedule delete"
        )
    made = backend.create_schedule(order, timetable)
    for one in old:
        try:
            backend.delete(one.schedule_id)
        except MillraceError as error:
            raise type(error)(
                f"schedule: {made.schedule_id} was made, but the old {one.schedule_id} is still there, and both run. {error}. "
                f"Then: python kubeflow_runner.py schedule delete {one.schedule_id} …"
            ) from error
        say(f"removed {one.schedule_id}, which was {one.cron}")
    return made


def find(backend: Backend, wanted: str) -> Schedule:
    """A schedule by its name or its id.

    Raises:
      UsageError: there is none, or there are several of the name.
    """
    every = backend.schedules()
    by_id = [one for one in every if one.schedule_id == wanted.rpartition("/")[2]]
    found = by_id or [one for one in every if one.name == wanted]
    if len(found) > 1:
        ids = ", ".join(one.schedule_id for one in found)
        raise UsageError(
            f"schedule: {len(found)} are named {wanted!r}. Expected: an id. Received: {wanted!r}. Next: {ids}"
        )
    if not found:
        names = sorted({one.name for one in every})
        raise UsageError(
            f"schedule: no schedule {wanted!r}.{hint(wanted, names)} Known: {', '.join(names) or 'none'}. "
            "Next: python kubeflow_runner.py schedule list"
        )
    return found[0]
