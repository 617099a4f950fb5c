"""The ways in which `benchmarks/poison.py` spoils a clean span of taxi trips."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.splits import FolderSplit
from pipeline.task import Task

Change = Callable[[pa.Table, np.random.Generator], pa.Table]

_QUARTER = 900
_DRIFT = 1.09
"""Factor on fares from span to span: each step is below the limit, six of them are not."""


def clean_span(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """As many rows, drawn with replacement; the start of each trip moves within its quarter of an hour, so that a row
    drawn twice is another trip."""
    drawn = table.take(pa.array(random.integers(0, table.num_rows, table.num_rows)))
    moved = pc.add(drawn["trip_start_timestamp"], pa.array(random.integers(0, _QUARTER, table.num_rows)))
    return _with(drawn, "trip_start_timestamp", moved)


def _as_it_is(table: pa.Table, random: np.random.Generator) -> pa.Table:
    return table


@dataclass(frozen=True)
class Poison:
    """One way to spoil a span.

    Attributes:
      name: as in the table of `docs/data_checks.md`.
      table: what is done to the span's rows.
      of: what is done to the task, as another kind of split.
      requests: what is done to the rows to make a log of serving requests of them; None has no log.
      each: (table, number of the span) for several spans in a row, each the next one's previous data.
      compared: whether there is previous data.
      fresh: whether the span is a new one, and not the accepted rows once more.
    """

    name: str
    table: Change = _as_it_is
    of: Callable[[Task], Task] = lambda task: task
    requests: Change | None = None
    each: Callable[[pa.Table, int], pa.Table] | None = None
    compared: bool = True
    fresh: bool = True

    @property
    def slug(self) -> str:
        """Its name as a folder's."""
        return "".join(character if character.isalnum() else "-" for character in self.name)


def _with(table: pa.Table, name: str, column: pa.ChunkedArray | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)


def _scaled(name: str, factor: float) -> Change:
    return lambda table, random: _with(table, name, pc.multiply(table[name], factor))


def _renamed(name: str, old: str, new: str) -> Change:
    return lambda table, random: _with(table, name, pc.if_else(pc.equal(table[name], old), pa.scalar(new), table[name]))


def _without_values(name: str, share: float) -> Change:
    def change(table: pa.Table, random: np.random.Generator) -> pa.Table:
        gone = pa.array(random.random(table.num_rows) < share)
        return _with(table, name, pc.if_else(gone, pa.scalar(None, table.schema.field(name).type), table[name]))

    return change


def _long_trips(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """Three long trips for each that there was, as if only the airports had reported."""
    miles = np.asarray(table["trip_miles"].fill_null(0.0))
    weights = 1.0 + 2.0 * (miles > np.quantile(miles, 0.7)) + 5.0 * (miles > np.quantile(miles, 0.9))
    return table.take(pa.array(random.choice(table.num_rows, table.num_rows, p=weights / weights.sum())))


def _swapped(one: str, other: str) -> Change:
    def change(table: pa.Table, random: np.random.Generator) -> pa.Table:
        names = {one: other, other: one}
        return table.rename_columns([names.get(name, name) for name in table.column_names]).select(table.column_names)

    return change


def _twice(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """The first half of the span, delivered twice."""
    half = table.slice(0, table.num_rows // 2)
    return pa.concat_tables([half, half])


def _tipped(table: pa.Table) -> pa.Array:
    return pc.greater(table["tips"], pc.multiply(table["fare"], 0.2))


def _told(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """The hour of trips that were tipped is even, that of others odd: no value is odd in itself."""
    hour = pc.multiply(pc.divide(table["trip_start_hour"], 2), 2)
    return _with(table, "trip_start_hour", pc.if_else(_tipped(table), hour, pc.add(hour, 1)))


def _flipped(table: pa.Table, random: np.random.Generator) -> pa.Table:
    return _with(table, "tips", pc.if_else(_tipped(table), 0.0, pc.multiply(table["fare"], 0.25)))


def _constant(table: pa.Table, random: np.random.Generator) -> pa.Table:
    return _with(table, "tips", pc.multiply(table["tips"], 0.0))


def _truncated(table: pa.Table, random: np.random.Generator) -> pa.Table:
    return table.slice(0, table.num_rows // 5)


def _by_folder(task: Task) -> Task:
    return dataclasses.replace(task, split=FolderSplit())


def _eval_of_another_time(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """Ordered by month: the folder of the eval split, the last third of the rows, has other months than train's."""
    return table.take(pc.sort_indices(table, sort_keys=[("trip_start_month", "ascending")]))


def _eval_again_in_train(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """The last third of the rows, which is the eval split, starts with 300 rows of train."""
    third = table.num_rows - table.num_rows // 3
    return pa.concat_tables([table.slice(0, third), table.slice(0, 300), table.slice(third + 300)])


POISONS = (
    Poison("clean span"),
    Poison("fare in cents", _scaled("fare", 100.0)),
    Poison("payment type renamed", _renamed("payment_type", "Credit Card", "credit card")),
    Poison("company renamed", _renamed("company", "Taxi Affiliation Services", "TAS")),
    Poison("trip_seconds missing in 20 %", _without_values("trip_seconds", 0.2)),
    Poison("more companies missing", _without_values("company", 0.2)),
    Poison("only long trips", _long_trips),
    Poison("columns swapped", _swapped("fare", "trip_miles")),
    Poison("rows delivered twice", _twice),
    Poison("span delivered again", fresh=False),
    Poison("label leaks", _told),
    Poison("label flipped", _flipped),
    Poison("label constant", _constant),
    Poison("span truncated", _truncated),
    Poison("eval of another time", _eval_of_another_time, of=_by_folder, compared=False),
    Poison("rows of train in eval", _eval_again_in_train, of=_by_folder),
    Poison("requests in cents", requests=_scaled("fare", 100.0)),
    Poison("requests as in training", requests=_as_it_is),
    Poison(
        "fares rise slowly", each=lambda table, number: _scaled("fare", _DRIFT**number)(table, np.random.default_rng())
    ),
)
