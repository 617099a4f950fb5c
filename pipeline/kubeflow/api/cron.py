"""A cron expression: checked field by field, its next times, and as each server wants it.

    0 3 * * *       at 03:00 each day                 minute hour day-of-month month day-of-week
    30 0 3 * * *    the same, 30 seconds later        with seconds first, as Kubeflow Pipelines has it
    @daily          also @hourly, @weekly, @monthly, @yearly

Each field: `*`, a number, a range `1-5`, a step `*/15` or `10-50/20`, a list `1,15`; months and days of the week have their
English names too. Where day-of-month and day-of-week both say something, either is enough.

Kubeflow Pipelines reads an expression of five fields as one with seconds whose day of the week was left out: `0 3 * * *` would
run at minute 3 of every hour. So it always gets six. It has one time zone for the whole cluster (`CRON_SCHEDULE_TIMEZONE` of
the scheduled-workflow controller, UTC unless changed) and no 7 for Sunday. Vertex AI has no seconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from pipeline.errors import UsageError, hint, raise_all

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_COMPARED = 400
_YEARS_AHEAD = 3


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.low
        return int(text) if text.isascii() and text.isdigit() and self.low <= int(text) <= self.high else None

    def values(self, text: str) -> list[int]:
        """The values that a field stands for.

        Raises:
          ValueError: it stands for none.
        """
        found: set[int] = set()
        for item in text.split(","):
            matched = re.fullmatch(r"([*?]|\w+)(?:-(\w+))?(?:/(\d+))?", item)
            if not matched:
                raise ValueError(item)
            first, last, step = matched[1], matched[2], int(matched[3] or 1)
            begin: int | None = self.low
            end: int | None = self.high
            if first not in "*?":
                begin = self.number(first)
                end = self.number(last) if last else self.high if matched[3] else begin
            if begin is None or end is None or begin > end or step < 1 or (first in "*?" and last):
                raise ValueError(item)
            found.update(range(begin, end + 1, step))
        return sorted(found)

    @property
    def rule(self) -> str:
        names = f", {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names}, *, */N, A-B or a list of these"


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 7, _DAYS),
)


@dataclass(frozen=True)
class Cron:
    """A checked expression.

    Attributes:
      text: as it was given.
      fields: six, seconds first.
      zone: the IANA time zone that it is meant in.
    """

    text: str
    fields: tuple[str, ...]
    zone: str = "UTC"

    def times(self, after: datetime) -> Iterator[datetime]:
        """The times when it fires after a moment, in its own zone."""
        seconds, *rest = (field.replace("?", "*") for field in self.fields)
        five = " ".join(rest)
        # Five fields, where they do: the library then keeps 02:30 on the days when clocks change.
        return iter(CronSim(five if seconds == "0" else f"{seconds} {five}", after.astimezone(ZoneInfo(self.zone))))

    def next_times(self, after: datetime, count: int = 3) -> list[datetime]:
        """The next few of `times`."""
        return list(islice(self.times(after), count))

    def for_kfp(self, cluster_zone: str, now: datetime) -> str:
        """Six fields, in the time zone of the cluster, Sunday as 0.

        Raises:
          UsageError: no one expression in the cluster's zone fires at the same times.
        """
        moved = self if cluster_zone == self.zone else _moved(self, cluster_zone, now)
        *others, days = moved.fields
        if days not in ("*", "?") and any(7 in _values(5, item) for item in days.split(",") if item[0] not in "*?"):
            days = ",".join(map(str, sorted({value % 7 for value in _values(5, days)})))
        return " ".join([*others, days])

    def for_vertex(self) -> str:
        """Five fields behind `TZ=`.

        Raises:
          UsageError: it has seconds.
        """
        seconds, *rest = self.fields
        if seconds != "0":
            raise UsageError(
                f"cron: Vertex AI has no seconds. Expected: 5 fields. Received: second={seconds} in {self.text!r}. "
                f"Next: --cron '{' '.join(rest)}'"
            )
        return f"TZ={self.zone} {' '.join(field.replace('?', '*') for field in rest)}"


def parse(text: str, zone: str = "UTC") -> Cron:
    """Reads an expression.

    Raises:
      UsageError: naming each field that is wrong, or the zone.
    """
    check_zone(zone, "--timezone")
    if text.strip().upper().startswith(("TZ=", "CRON_TZ=")):
        raise UsageError(
            f"cron: the time zone is an option of its own. Received: {text!r}. "
            f"Next: --cron '{text.strip().partition(' ')[2]}' --timezone {text.strip().partition(' ')[0].partition('=')[2]}"
        )
    given = _SHORT.get(text.strip().lower(), text).split()
    if len(given) not in (5, 6):
        raise UsageError(
            "cron: Expected: 5 fields (minute hour day-of-month month day-of-week), 6 with seconds first, or one of "
            f"{', '.join(_SHORT)}. Received: {len(given)} in {text!r}. Next: --cron '0 3 * * *' for 03:00 each day"
        )
    fields = ("0", *given) if len(given) == 5 else tuple(given)
    problems = []
    for field, value in zip(_FIELDS, fields, strict=True):
        try:
            field.values(value)
        except ValueError as error:
            problems.append(
                f"{field.name}. Expected: {field.rule}. Received: {error.args[0] or 'nothing'} in {value!r}"
            )
    raise_all(UsageError, f"cron: {text!r} has wrong fields. Next: mend them; 0 3 * * * is 03:00 each day", problems)
    cron = Cron(text, fields, zone)
    try:
        cron.next_times(datetime.now(ZoneInfo("UTC")), 1)
    except CronSimError as error:
        raise UsageError(
            f"cron: {text!r} never comes: no month has that day. Next: another day-of-month or month"
        ) from error
    return cron


def check_zone(zone: str, flag: str) -> None:
    """Checks the name of a time zone.

    Raises:
      UsageError: there is none of that name.
    """
    if zone not in available_timezones():
        raise UsageError(
            f"{flag}: no time zone {zone!r}. Expected: a name of the IANA database, such as UTC or Europe/Berlin."
            f"{hint(zone, available_timezones())}"
        )


def _values(index: int, text: str) -> list[int]:
    return _FIELDS[index].values(text)


def _moved(cron: Cron, zone: str, now: datetime) -> Cron:
    """The expression that fires at the same moments in another zone, where there is one; their times are compared."""
    refused = UsageError(
        f"--timezone: Kubeflow Pipelines has one time zone for the whole cluster ({zone}; --cluster-timezone says which), and no "
        f"one expression in it is always {cron.text!r} in {cron.zone}"
        + (", which changes its clocks" if _changes(cron.zone, now) or _changes(zone, now) else "")
        + f". Next: give --cron in {zone} with --timezone {zone}, or set cronScheduleTimezone of pipeline-install-config to "
        f"{cron.zone} and give --cluster-timezone {cron.zone}"
    )
    distances = {_offset(zone, at) - _offset(cron.zone, at) for at in _samples(now)}
    minutes = int(distances.pop().total_seconds() // 60)
    if distances or _changes(zone, now) != _changes(cron.zone, now):
        if cron.fields[2:] == ("*", "*", "*", "*") and not any(each.seconds % 3600 for each in distances):
            return replace(cron, zone=zone)
        raise refused
    second, minute, hour, day, month, weekday = cron.fields
    moments = [
        divmod(hours * 60 + mins + minutes, 24 * 60) for hours in _values(2, hour) for mins in _values(1, minute)
    ]
    days = {moment[0] for moment in moments}
    if weekday not in ("*", "?") and len(days) == 1:
        (ahead,) = days
        weekday = ",".join(map(str, sorted({(value + ahead) % 7 for value in _values(5, weekday)})))
    fields = (
        second,
        minute if minutes % 60 == 0 else _listed(1, {moment[1] % 60 for moment in moments}),
        _listed(2, {moment[1] // 60 for moment in moments}),
        day,
        month,
        weekday,
    )
    moved = Cron(cron.text, fields, zone)
    until = now + timedelta(days=366 * _YEARS_AHEAD)
    ours, theirs = (
        list(islice(takewhile(lambda at: at < until, found.times(now)), _COMPARED)) for found in (cron, moved)
    )
    if ours != theirs:
        raise refused
    return moved


def _listed(index: int, values: set[int]) -> str:
    field = _FIELDS[index]
    return "*" if len(values) == field.high - field.low + 1 else ",".join(map(str, sorted(values)))


def _offset(zone: str, at: datetime) -> timedelta:
    return at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()


def _samples(now: datetime) -> list[datetime]:
    """A moment in each week of the next years."""
    return [now + timedelta(days=day) for day in range(0, 366 * _YEARS_AHEAD, 7)]


def _changes(zone: str, now: datetime) -> bool:
    """Whether a zone's distance to UTC changes in the next years."""
    return len({_offset(zone, at) for at in _samples(now)}) > 1
