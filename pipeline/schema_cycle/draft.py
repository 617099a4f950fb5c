"""A first schema from what is in the rows: exact types and presence; domains only where they are safe.

What a value may be is left open unless the rows cover it: an inferred domain that is too narrow stops good rows.

- A domain of strings: at most 50 values, ten rows for each, and at most 1 % of the rows have a value of their own. The
  share of values seen once estimates how likely the next row has one not seen yet (Good 1953, "The population
  frequencies of species").
- A range: only of integers that are clearly a closed code. The task reads them as Categorical(size=n); or they are just
  0 and 1; or the column's name says an hour, a weekday, a month, … and all of these are there. Whatever may be a count,
  such as of calls, stays open, even where the rows have each of 0 to 9: the next customer has 10.
"""

import math
import re
from collections.abc import Mapping, Sequence

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.features.base import Modality
from pipeline.features.categorical import Categorical
from pipeline.ingest.infer import MOST_VALUES, Summary
from pipeline.schema_cycle.doubts import spelling
from pipeline.schema_cycle.words import count_of, percent, quoted, some
from pipeline.task import Task

MOST_DOMAIN_VALUES = 50
_ROWS_FOR_EACH = 10
_SEEN_ONCE = 0.01
_NOT_RARE = 0.1
_FLAG = (0, 1)
_WEEK, _HOURS, _MONTHS, _QUARTERS = ((0, 6), (1, 7)), ((0, 23), (1, 24)), ((0, 11), (1, 12)), ((0, 3), (1, 4))
_CODES = {
    "hour": _HOURS,
    "hr": _HOURS,
    "weekday": _WEEK,
    "dow": _WEEK,
    "day": (*_WEEK, (1, 31)),
    "month": _MONTHS,
    "quarter": _QUARTERS,
}
_WHOLES = {"day", "week", "month", "quarter", "year"}
_COUNTED = {"per", "last", "past", "this", "in", "since", "n", "num", "number", "count"}
_FLAGS = {"is", "has"}
_DOMAINS = ("domain", "int_domain", "float_domain", "image_domain")
_ORDER = ("name", "type", "value_count", "presence", *_DOMAINS, "not_in_environment")
_HEADER = """\
# {question}
# Inferred by `millrace schema init` from {rows}; review every line.
# value_count min: 1 means that no row may lack the value; a domain that is left open is open on purpose.

"""


def not_at_serving(task: Task) -> frozenset[str]:
    """The label, and the columns that it is computed from unless they are features: not known when serving."""
    return (task.label.columns | {task.label.name}) - {feature.name for feature in task.features}


def draft(task: Task, summaries: Mapping[str, Summary], rows: str) -> str:
    """The text of a schema for a task.

    Args:
      task: whose features say which types they take.
      summaries: of `pipeline.ingest.infer.infer`.
      rows: what was read, for the header: "15,002 rows".
    """
    takes = task.accepts
    sizes = {feature.name: feature.size for feature in task.features if isinstance(feature, Categorical)}
    modalities = {feature.name: feature.modality for feature in task.features}
    absent = not_at_serving(task)
    features, domains = [], []
    for name, summary in summaries.items():
        closed = task.label.domain if name == task.label.name else ()
        feature, domain = feature_of(summary, takes.get(name, ()), sizes.get(name), modalities.get(name), closed)
        if name in absent:
            feature.not_in_environment.append("SERVING")
        features.append(as_text(feature, [seen(summary, feature)]))
        domains += [domain] if domain else []
    rest = schema_pb2.Schema(string_domain=domains, default_environment=["TRAINING", "SERVING"])
    header = _HEADER.format(question=" ".join(task.question.split()), rows=rows)
    return header + "".join(features) + text_format.MessageToString(rest, as_utf8=True)


def as_text(feature: schema_pb2.Feature, comments: Sequence[str] = ()) -> str:
    """A feature as the text of a schema, below its comments, in the order in which people read it."""
    lines = [*(f"# {comment}" for comment in comments if comment), "feature {"]
    fields = {field.name for field, _ in feature.ListFields()}
    for name in (*_ORDER, *sorted(fields - set(_ORDER))):
        if name in fields:
            part = schema_pb2.Feature()
            value = getattr(feature, name)
            if isinstance(value, (str, int)):
                setattr(part, name, value)
            elif hasattr(value, "extend"):
                getattr(part, name).extend(value)
            else:
                getattr(part, name).SetInParent()  # an empty domain says something, too
                getattr(part, name).CopyFrom(value)
            lines += [f"  {line}" for line in text_format.MessageToString(part, as_utf8=True).splitlines()]
    return "\n".join([*lines, "}\n"])


def feature_of(
    summary: Summary,
    takes: Sequence[str] = (),
    size: int | None = None,
    modality: Modality | None = None,
    closed: Sequence[str] = (),
) -> tuple[schema_pb2.Feature, schema_pb2.StringDomain | None]:
    """What the schema says of a column, and its domain of strings, if it has one.

    Args:
      summary: of the column.
      takes: the types that the task takes there; empty for any.
      size: how many categories the task reads it as, or None.
      modality: of the task's feature: images are said to be images, and neither they nor texts have a domain.
      closed: the only texts that the column may have, such as the names of classes; empty where the rows tell.
    """
    kind = summary.type_for(takes)
    feature = schema_pb2.Feature(name=summary.name, type=schema_pb2.FeatureType.Value(kind))
    missing = summary.missing(kind)
    if not summary.is_list:
        feature.value_count.max = 1
    elif summary.shortest == summary.longest:
        feature.value_count.max = summary.longest
    if not missing and summary.rows:
        feature.value_count.min = summary.shortest
    elif summary.is_list and summary.shortest == summary.longest:
        feature.value_count.min = summary.shortest
    set_presence(feature, 1.0 - missing / summary.rows if summary.rows else 0.0)
    if modality == "image" and kind == "BYTES":
        feature.image_domain.SetInParent()
        return feature, None
    values = (list(closed) or domain_values(summary)) if kind == "BYTES" and modality != "text" else None
    if values:
        feature.domain = summary.name
        return feature, schema_pb2.StringDomain(name=summary.name, value=values)
    codes = code_range(summary, size) if kind == "INT" else None
    if codes:
        feature.int_domain.min, feature.int_domain.max = codes
    return feature, None


def set_presence(feature: schema_pb2.Feature, share: float) -> None:
    """Says in how many of the rows the column has a value, from the share that was seen."""
    feature.presence.min_fraction = min_fraction(share)
    feature.presence.min_count = 1 if share else 0


def min_fraction(share: float) -> float:
    """The presence to demand where this share was seen.

    Where none is missing, all; else the missing share may grow by half, and then to the next 5 %: 0.97 -> 0.95,
    0.94 -> 0.9, 0.3 -> 0.0.
    """
    if share >= 1.0:
        return 1.0
    return max(0, math.floor(round((1.0 - 1.5 * (1.0 - share)) * 20, 6))) / 20


def domain_values(summary: Summary) -> list[str] | None:
    """The values that a column of text may have, sorted, where the rows cover them; else None."""
    values = summary.values
    if not values or summary.not_text or summary.is_list or len(values) > MOST_DOMAIN_VALUES:
        return None
    present = sum(values.values())
    once = sum(count == 1 for count in values.values())
    if present < _ROWS_FOR_EACH * len(values) or once > _SEEN_ONCE * present:
        return None
    return sorted(values)


def code_range(summary: Summary, size: int | None = None) -> tuple[int, int] | None:
    """The least and greatest integer that a column may have if it is clearly a closed code, such as an hour; else None.

    Args:
      summary: of a column of integers.
      size: how many categories the task reads it as, or None.
    """
    if summary.low is None or summary.high is None or summary.is_list or summary.misfits("INT"):
        return None
    if size is not None and (summary.low < 0 or summary.high >= size):
        return None  # the task and the rows disagree: for a person to settle
    codes = _covered(summary)
    if size is not None:
        return (1, size - 1) if codes and codes[:2] == (1, size - 1) else (0, size - 1)
    if codes is None:
        return None
    low, high, rare = codes
    words = _words(summary.name)
    if (low, high) == _FLAG and (not rare or words[0] in _FLAGS or "flag" in words):
        return low, high
    return (low, high) if not rare and (low, high) in _calendar(words) else None


def _covered(summary: Summary) -> tuple[int, int, bool] | None:
    """The least and greatest integer, and whether this one is rare, where there are ten rows for each up to it."""
    counts: dict[int, int] = {}
    for text, count in (summary.values or {}).items():
        if text.strip(" \t"):
            number = int(float(text))
            counts[number] = counts.get(number, 0) + count
    low, high = min(counts, default=0), max(counts, default=0)
    present = sum(counts.values())
    if high - low + 1 != len(counts) or len(counts) < 2 or present < _ROWS_FOR_EACH * len(counts):
        return None
    return low, high, counts[high] < _NOT_RARE * present / len(counts)


def _words(name: str) -> list[str]:
    """The words of a column's name, in lower case: `tripStart_Hour` has trip, start and hour."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", name).casefold()) or [""]


def _calendar(words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The ranges of the part of a date that a name ends with: `start_hour`, `day_of_week`, but not `calls_per_day`."""
    joined = re.fullmatch(r"([a-z]+)of([a-z]+)", words[-1])
    if joined and joined[1] in _CODES and joined[2] in _WHOLES:
        return _CODES[joined[1]]
    if len(words) > 2 and words[-2] == "of" and words[-1] in _WHOLES:
        return _CODES.get(words[-3], ())
    return () if _COUNTED & set(words) else _CODES.get(words[-1], ())


def seen(summary: Summary, feature: schema_pb2.Feature) -> str:
    """What was seen in a column, for the comment above it."""
    kind = schema_pb2.FeatureType.Name(feature.type)
    missing = summary.missing(kind)
    if missing == summary.rows:
        return "no value in any row: the type is a guess"
    parts = [f"{percent(missing, summary.rows)} of the values missing" if missing else "none missing"]
    distinct = f"more than {MOST_VALUES:,}" if summary.values is None else f"{len(summary.values):,}"
    parts.append(f"{distinct} distinct")
    if kind != "BYTES" and summary.low is not None and summary.high is not None:
        parts.append(f"{_number(summary.low, kind)} to {_number(summary.high, kind)}")
    if summary.is_list:
        parts.append(f"lists of {summary.shortest} to {summary.longest}")
    image = feature.HasField("image_domain")
    return "; ".join([*parts, *(["images"] if image else []), *notes(summary, kind, image)])


def notes(summary: Summary, kind: str, image: bool = False) -> list[str]:
    """What a reviewer has to know of a column, beyond its type; that images are no text is no news."""
    kinds, found = summary.kinds, []
    if kind == "BYTES" and kinds["padded"] and not kinds["texts"]:
        found.append(f"integers with leading zeros, such as {_example(summary, 'padded')}, that INT would lose")
    if kind == "FLOAT" and kinds["huge"]:
        found.append(f"FLOAT loses digits of integers such as {_example(summary, 'huge')}; BYTES keeps them")
    strange = {
        "texts": "no number",
        "infinite": "not finite",
        "reals": "no integer",
        "huge": "beyond int64",
        "nan": "nan",
    }
    for name, what in strange.items():
        if kinds[name] and (kind == "INT" or (kind == "FLOAT" and name in ("texts", "infinite"))):
            found.append(
                f"{count_of(kinds[name], 'value')} {what}, such as {_example(summary, name)}: such rows are quarantined"
            )
    if summary.not_text and not image:
        found.append(f"{count_of(summary.not_text, 'value')} not UTF-8")
    if kinds["nested"]:
        found.append("nested values, which no tf.Example can hold")
    if kind == "BYTES" and summary.values and len(summary.values) <= MOST_DOMAIN_VALUES:
        pairs = [(value, like) for value in sorted(summary.values) if (like := spelling(value, summary.values))]
        found += [
            f"{quoted(value)} and {quoted(like)} differ in spelling only" for value, like in pairs if value < like
        ]
    return found


def _number(value: float, kind: str) -> str:
    return str(int(value)) if kind == "INT" else f"{value:.7g}"


def _example(summary: Summary, kind: str) -> str:
    examples = summary.examples.get(kind)
    return some([f"{quoted(text)} (line {line:,})" for line, text in examples or ()][:1]) or "nan or infinity"
