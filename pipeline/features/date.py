"""Dates and times, as parts of the calendar."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pipeline.features.base import (
    INT_MISSING,
    Feature,
    Modality,
    SchemaType,
    dense_floats,
    dense_integers,
    dense_strings,
)

if TYPE_CHECKING:
    import tensorflow as tf

Part = Literal["year", "quarter", "month", "day", "weekday", "hour", "minute", "is_weekend"]

_VALUES = {
    "year": 201,  # 1900 to 2100
    "quarter": 4,
    "month": 12,
    "day": 31,
    "weekday": 7,  # Monday is 0
    "hour": 24,
    "minute": 60,
    "is_weekend": 2,
}
_FIRST_YEAR = 1900
_DAY = 86_400
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799
"""The first second of the year 1 and the last of 9999."""
_ISO = (
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([Tt ]([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.,]\d+)?)?([Zz]|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?)?"
)


@dataclass(frozen=True)
class Date(Feature):
    """Parts of a date: what hour, which weekday, which month.

    The column has seconds since 1970 (INT; FLOAT too, which as 32 bits is only exact to about two minutes), or ISO 8601
    text (BYTES): 2024-02-29, 2024-02-29T18:30, 2024-02-29 18:30:15.5, each time with Z or an offset such as +02:00 or
    without. Text of another form, and a day that the calendar does not have, count as missing.

    Attributes:
      parts: of year (1900 to 2100, any other is missing), quarter, month, day, weekday, hour, minute, is_weekend.
      encoding: "ids": an id for each part, all of one range, in which each part has an id for missing, its last.
        "cyclic": sine and cosine of each part's place in its round, 0 and 0 where missing; for all but the year.
      utc_offset: hours east of Greenwich in which the parts are told. Text without an offset is taken as it is written.
    """

    parts: tuple[Part, ...] = ("month", "weekday", "hour")
    encoding: Literal["ids", "cyclic"] = "ids"
    utc_offset: float = 0.0
    accepts: ClassVar[tuple[SchemaType, ...]] = ("INT", "FLOAT", "BYTES")

    def check(self) -> None:
        known = all(part in _VALUES for part in self.parts) and len(set(self.parts)) == len(self.parts) > 0
        self.require(known, f"parts: expected some of {', '.join(_VALUES)}, each once", parts=self.parts)
        encodings = "encoding: expected 'ids' or 'cyclic'"
        self.require(self.encoding in ("ids", "cyclic"), encodings, encoding=self.encoding)
        cyclic = self.encoding == "ids" or "year" not in self.parts
        self.require(cyclic, "parts: years don't come round: expected encoding='ids'", parts=self.parts)
        self.require(abs(self.utc_offset) <= 24, "utc_offset: expected -24 to 24 hours", utc_offset=self.utc_offset)

    @property
    def modality(self) -> Modality:  # type: ignore[override]
        return "ids" if self.encoding == "ids" else "number"

    @property
    def cardinality(self) -> int | None:
        return sum(_VALUES[part] + 1 for part in self.parts) if self.encoding == "ids" else None

    @property
    def shape(self) -> tuple[int]:
        return (len(self.parts) if self.encoding == "ids" else 2 * len(self.parts),)

    def preprocess(self, column: "tf.Tensor | tf.SparseTensor") -> "tf.Tensor":
        import tensorflow as tf

        seconds, present = self._seconds(column)
        values = _parts(tf.where(present, seconds, tf.zeros_like(seconds)))
        encode = _ids if self.encoding == "ids" else _on_circle
        columns, first = [], 0
        for part in self.parts:
            known = tf.logical_and(present, tf.logical_and(values[part] >= 0, values[part] < _VALUES[part]))
            columns += encode(values[part], known, _VALUES[part], first)
            first += _VALUES[part] + 1
        return tf.stack(columns, 1)

    def _seconds(self, column: "tf.Tensor | tf.SparseTensor") -> "tuple[tf.Tensor, tf.Tensor]":
        """Seconds since 1970 by the clock that the parts are told by, int64, and which rows have any; [rows] each."""
        import tensorflow as tf

        offset = round(self.utc_offset * 3600)
        if column.dtype == tf.string:
            return _of_text(dense_strings(column), offset)
        if column.dtype.is_integer:
            seconds = dense_integers(column)
            present = tf.not_equal(seconds, INT_MISSING)
        else:
            values = dense_floats(column)
            # Within 2^62, so that the cast is defined; what is out of the calendar goes below.
            present = tf.logical_and(tf.math.is_finite(values), tf.abs(values) < 2.0**62)
            seconds = tf.cast(tf.floor(tf.where(present, values, tf.zeros_like(values))), tf.int64)
        in_calendar = tf.logical_and(seconds >= _EARLIEST + _DAY, seconds <= _LATEST - _DAY)
        return seconds + offset, tf.logical_and(present, in_calendar)


def _of_text(texts: "tf.Tensor", offset: int) -> "tuple[tf.Tensor, tf.Tensor]":
    """See Date._seconds: text with an offset is a moment, and told in `offset`; text without is as written."""
    import tensorflow as tf

    texts = tf.strings.strip(texts)
    wellformed = tf.strings.regex_full_match(texts, _ISO)
    texts = tf.where(wellformed, texts, tf.fill(tf.shape(texts), "1970-01-01"))
    texts = tf.where(tf.strings.length(texts) < 16, tf.strings.join([texts, "T00:00"]), texts)

    def number(start: int, size: int, source: "tf.Tensor" = texts) -> "tf.Tensor":
        return tf.strings.to_number(tf.strings.substr(source, start, size), tf.int64)

    year, month, day = number(0, 4), number(5, 2), number(8, 2)
    days = _days(year, month, day)
    real = tf.logical_and(tf.equal(_civil(days)[2], day), year >= 1)
    # +02:00, +0200, +02, Z or nothing, all as +hhmm.
    zone = tf.strings.regex_replace(tf.strings.substr(texts, 16, 64), r"^[^Zz+-]*", "")
    moment = tf.not_equal(zone, "")
    zone = tf.strings.regex_replace(zone, ":|[Zz]", "")
    zone = tf.strings.join([tf.where(tf.equal(zone, ""), tf.fill(tf.shape(zone), "+00"), zone), "00"])
    east = (number(1, 2, zone) * 60 + number(3, 2, zone)) * 60
    east = tf.where(tf.equal(tf.strings.substr(zone, 0, 1), "-"), -east, east)
    written = days * _DAY + number(11, 2) * 3600 + number(14, 2) * 60
    return tf.where(moment, written - east + offset, written), tf.logical_and(wellformed, real)


def _parts(seconds: "tf.Tensor") -> "dict[str, tf.Tensor]":
    """Each part, from 0; by integer arithmetic, exact."""
    import tensorflow as tf

    days, second = seconds // _DAY, seconds % _DAY
    year, month, day = _civil(days)
    weekday = (days + 3) % 7  # 1970 began on a Thursday
    return {
        "year": year - _FIRST_YEAR,
        "quarter": (month - 1) // 3,
        "month": month - 1,
        "day": day - 1,
        "weekday": weekday,
        "hour": second // 3600,
        "minute": second % 3600 // 60,
        "is_weekend": tf.cast(weekday >= 5, tf.int64),
    }


def _civil(days: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor, tf.Tensor]":
    """Year, month and day of days since 1970-01-01, in the Gregorian calendar, before its beginning too.

    After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that begin in March, in eras of 400.
    """
    import tensorflow as tf

    days = days + 719_468
    era, of_era = days // 146_097, days % 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = tf.where(month < 10, month + 3, month - 9)
    return year + era * 400 + tf.cast(month <= 2, tf.int64), month, day


def _days(year: "tf.Tensor", month: "tf.Tensor", day: "tf.Tensor") -> "tf.Tensor":
    """Days since 1970-01-01; the reverse of `_civil`."""
    import tensorflow as tf

    year = year - tf.cast(month <= 2, tf.int64)
    era, of_era = year // 400, year % 400
    of_year = (153 * tf.where(month > 2, month - 3, month + 9) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _ids(value: "tf.Tensor", known: "tf.Tensor", size: int, first: int) -> "list[tf.Tensor]":
    import tensorflow as tf

    return [first + tf.where(known, value, tf.constant(size, tf.int64))]


def _on_circle(value: "tf.Tensor", known: "tf.Tensor", size: int, first: int) -> "list[tf.Tensor]":
    """Sine and cosine; `first` is for ids alone."""
    import tensorflow as tf

    angle = tf.cast(value, tf.float32) * (2 * math.pi / size)
    return [tf.where(known, waves(angle), tf.zeros_like(angle)) for waves in (tf.sin, tf.cos)]
