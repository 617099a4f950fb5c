"""Every case of the corpus, through the look at the first rows and then through the ingest of each file.

None may end in anything but its verdict: no other exception, no row lost, none twice, no wrong line.
"""

import gzip
import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.errors import DataBlocked, ExitCode, MillraceError, UsageError
from pipeline.ingest import checking, files, images, selection, work
from pipeline.ingest.columns import Column
from pipeline.ingest.partition import Partition
from pipeline.splits import SpanSplit
from tests.bad_inputs.case import Case
from tests.bad_inputs.cases import CASES

NEEDED = {"id": "a feature", "fare": "a feature", "company": "a feature", "tips": "the label"}
ERRORS = {"stop": DataBlocked, "error": UsageError}


def job(case: Case, source: Any) -> checking.Job:
    """The job of a task with this schema."""
    rules: tuple[Column, ...] = (
        Column("id", "INT", required=True),
        Column("fare", "FLOAT", required=case.required, low=0),
        # The corpus's odd texts are to be judged by the reader, not by this domain.
        Column("company", "BYTES", values=frozenset((b"Blue", b"Teal")) if "domain" in case.name else None),
        Column("day", "BYTES"),
        Column("tips", "FLOAT"),
    )
    needed = {**NEEDED, **case.rules.columns}
    encoded: tuple[images.Encoded, ...] = ()
    if case.name.startswith("image"):
        rules = (*rules, Column("photo", "BYTES"))
        encoded = (images.Encoded("photo", channels=3, max_pixels=50_000_000),)
    known = {rule.name: rule for rule in rules}
    return checking.Job(source, known, needed, case.rules, Partition(case.split), encoded)


def units(case: Case, source: Any) -> list[checking.Unit]:
    """The files that a run would read."""
    found = selection.selected(source, case.split, window=case.window)
    paths = [(span, path) for span, group in found.items() for path in group]
    return [checking.Unit(path, index, span) for index, (span, path) in enumerate(paths)]


def repeated(made: checking.Job, unit: checking.Unit, seen: set[int]) -> np.ndarray:
    """Ordinals of the good rows of a file whose key was seen before."""
    found = []
    for part in checking.checked(made, unit):
        for ordinal, key in enumerate(checking.keys(made, part) if len(part.hashes) else (), part.first):
            if int(key) in seen:
                found.append(ordinal)
            seen.add(int(key))
    return np.array(found, np.int64)


def records(path: str) -> Iterator[bytes]:
    """The records of a gzipped TFRecord, by the format's description."""
    data = gzip.decompress(Path(path).read_bytes())
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        yield data[at + 12 : at + 12 + length]
        at += 12 + length + 4


def ids(paths: list[str]) -> list[int]:
    """The ids of all rows that were written."""
    found = [record for path in paths for record in records(path)]
    return ExamplesToRecordBatchDecoder().DecodeBatch(found).column("id").flatten().to_pylist() if found else []


def ingest(case: Case, source: Any, folder: Path, data: Path) -> list[work.Written]:
    """All files; raises what the first bad one raises, after all have been tried."""
    made = job(case, source)
    written: list[work.Written] = []
    problems: list[MillraceError] = []
    seen: set[int] = set()
    for unit in units(case, source):
        try:
            twice = {unit.index: repeated(made, unit, seen)} if case.rules.key else None
        except MillraceError:
            twice = None
        hooked = _hooked(case.during, data) if case.during else files.create
        written.append(work.ingest(made, [unit], f"{folder}/{unit.index}", hooked, twice))
        problems += written[-1].failed
    if problems:
        raise problems[0]
    return written


def _hooked(during: Callable[[Path], object], data: Path) -> Callable[[str], BinaryIO]:
    """Opens files for writing; at the first one the ingest has begun, and something happens to the data."""
    left = [during]

    def create(path: str) -> BinaryIO:
        while left:
            left.pop()(data)
        return files.create(path)

    return create


def check_rows(case: Case, written: list[work.Written]) -> None:
    """Exactly the rows of the case are in the shards and in the quarantine, and the account says so."""
    shards = [path for one in written for paths in one.shards.values() for path in paths]
    assert sorted(ids(shards)) == sorted(case.ids)
    bad = [row for one in written for row in pq.read_table(one.quarantine).to_pylist()]
    assert [(row["line"], row["rule"]) for row in bad] == list(case.bad)
    known = {unit.path for one in written for unit in one.units}
    for row in bad:
        assert row["file"] in known
        assert case.message in row["message"]
        assert row["row"] is not None
        assert row["others"] >= 0
        if row["rule"] == "parse":
            assert row["column"] is None
        else:
            raw = json.loads(row["row"], parse_constant=_no_constant)
            empty = (row["rule"], row["value"]) == ("image", "")  # an image of no bytes
            assert row["rule"] in ("required", "key", "split") or row["value"] or empty
            assert row["column"] in raw
    for one in written:
        check_account(one)
    account = {name for one in written for name in one.account.new_columns}
    assert account == set(case.new)
    assert {name for one in written for name in one.account.missing_columns} == set(case.gone)


def _no_constant(name: str) -> Mapping[str, Any]:
    raise AssertionError(f"{name} is no JSON")


def check_account(one: work.Written) -> None:
    """Rows in are rows out, by a count of what is on disk."""
    out = {split: sum(1 for path in paths for _ in records(path)) for split, paths in one.shards.items()}
    kept_out = pq.read_metadata(one.quarantine).num_rows
    assert dict(one.account.splits) == out
    assert one.account.quarantined == kept_out
    assert one.account.rows == sum(out.values()) + kept_out
    assert one.account.quarantined == sum(entry.rows for entry in one.account.broken.values())
    assert {name: len(sample.values) for name, sample in one.hashes.items()} == {n: c for n, c in out.items() if c}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path) -> None:
    if "unreadable" in case.name and os.geteuid() == 0:
        pytest.skip("root can read all")
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    source = case.build(data)
    if case.verdict in ERRORS:
        with pytest.raises(ERRORS[case.verdict]) as caught:
            selection.check(source, case.split, NEEDED, window=case.window)
            ingest(case, source, out, data)
        assert caught.value.exit_code == {"stop": ExitCode.DATA_BLOCKED, "error": ExitCode.USAGE}[case.verdict]
        for part in (case.message, *case.also):
            assert part in str(caught.value)
        assert "Traceback" not in str(caught.value)
        return
    selection.check(source, case.split, NEEDED, window=case.window)
    written = ingest(case, source, out, data)
    assert bool(case.bad) == (case.verdict == "quarantine")
    check_rows(case, written)


def test_the_corpus_is_as_large_as_it_says() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 100
    assert {case.verdict for case in CASES} == {"clean", "quarantine", "stop", "error"}


def test_a_window_with_a_gap_names_the_gap(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "a gap in the window")
    source = case.build(tmp_path)
    found = selection.selected(source, case.split, window=4)
    base, wanted = selection.patterns(source, case.split)
    first, last = found
    assert last - first == 3
    assert selection.gaps(source, base, wanted.values(), last, 4) == [first + 1, first + 2]
    with pytest.raises(UsageError, match="Expected a window of more"):
        selection.check(source, SpanSplit(eval=4), NEEDED, window=4)


def test_the_builders_write_what_arrow_reads() -> None:
    """What the cases change one thing of is good to begin with."""
    from tests.bad_inputs import build

    table = pq.read_table(pa.BufferReader(build.parquet_bytes(build.columns(1, 2))))
    assert table.column("id").to_pylist() == [1, 2]
