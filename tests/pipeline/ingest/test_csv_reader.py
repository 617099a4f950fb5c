"""The CSV reader against Python's csv module, on damaged text, and in blocks of any size."""

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import DataBlocked, TaskError
from pipeline.ingest import csv_header, csv_lines, csv_reader
from pipeline.ingest.batch import Malformed, RawBatch
from pipeline.sources import Csv

SOURCE = Csv("unused.csv")
BLOCKS = (1, 7, 64, 1 << 20)
KINDS = {"a": "INT", "b": "FLOAT"}

text = st.text(st.sampled_from('ab",\n\r\t; é\u2028\U0001f600'), max_size=6)
rows_of = lambda width: st.lists(st.lists(text, min_size=width, max_size=width), max_size=8)  # noqa: E731
tables = st.integers(1, 5).flatmap(rows_of)


@contextmanager
def blocks(size: int) -> Iterator[None]:
    """Reads in blocks of that many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK", size)
        patch.setattr(csv_header, "START", size)
        yield


def batches(data: bytes, source: Csv = SOURCE, columns: dict[str, str] | None = None) -> list[RawBatch]:
    return list(csv_reader.read(io.BytesIO(data), "f.csv", source, columns or {}))


def rows(data: bytes, source: Csv = SOURCE) -> tuple[list[tuple[int, tuple[Any, ...]]], list[Malformed]]:
    """(line, values) of each row, and what is none."""
    found, bad = [], []
    for batch in batches(data, source):
        values = zip(*(column.to_pylist() for column in batch.columns.columns), strict=True)
        assert batch.columns.num_rows == len(batch.lines)
        found += zip(batch.lines.tolist(), values, strict=True)
        bad += batch.malformed
    return found, bad


def written(table: Sequence[Sequence[str]], quoting: Any = csv.QUOTE_MINIMAL, end: str = "\n") -> bytes:
    names = [f"c{number}" for number in range(len(table[0]) if table else 2)]
    if quoting == csv.QUOTE_MINIMAL:  # Python quotes only what is in its own line end
        table = [["".join(c for c in value if c not in "\r\n" or c in end) for value in row] for row in table]
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=quoting, lineterminator=end).writerows([names, *table])
    return stream.getvalue().encode()


def expected(data: bytes) -> list[tuple[int, tuple[bytes | None, ...]]]:
    """What Python's csv module reads, empty values as None, with the line that each row starts in."""
    reader = csv.reader(io.StringIO(data.decode(), newline=""))
    next(reader)
    found, line = [], reader.line_num + 1
    for values in reader:
        if values:
            found.append((line, tuple(value.encode() or None for value in values)))
        line = reader.line_num + 1
    return found


def looks_like_rows(table: Sequence[Sequence[str]]) -> bool:
    """Whether some value has inner lines with as many commas as a row, which is taken for a stray quote."""
    inner = [value.encode().splitlines()[1:-1] for row in table for value in row if len(row) > 3]
    return any(lines and all(line.count(b",") == len(table[0]) - 1 for line in lines) for lines in inner)


@settings(max_examples=100, deadline=None)
@given(tables, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.sampled_from(["\n", "\r\n", "\r"]))
@example([["x\ry", "1"], ["", ""], ["3", "4"]], csv.QUOTE_ALL, "\n")
@example([["a\nb", "c", "d", "e\nf"], ["", "\n", ",\r\n", "\n"]], csv.QUOTE_ALL, "\n")
def test_well_formed_text_is_read_as_by_pythons_csv(table: list[list[str]], quoting: Any, end: str) -> None:
    assume(not looks_like_rows(table))
    data = written(table, quoting, end)
    want = expected(data)
    for size in BLOCKS:
        with blocks(size):
            assert rows(data) == (want, [])


damage = st.sampled_from(["short", "long", "latin", "nul", "blank", "long value"])


@settings(max_examples=100, deadline=None)
@given(tables.filter(bool), st.data())
def test_damaged_lines_cost_no_other_row(table: list[list[str]], data: st.DataObject) -> None:
    """Good rows keep their values; each bad line is told once, with its number."""
    assume(not looks_like_rows(table))
    width = len(table[0])
    lines, good, bad = [written(table[:0] or [[""] * width]).split(b"\n")[0] + b"\n"], [], []
    number = 2
    for row in table:
        kind = data.draw(st.none() | damage)
        if kind and not (width == 1 and kind == "short"):
            line = {
                "short": b"x" + b",x" * (width - 2),
                "long": b"x" + b",x" * width,
                "latin": b"caf\xe9" + b",x" * (width - 1),
                "nul": b"\0" + b",x" * (width - 1),
                "blank": b"",
                "long value": b"x" * 2000 + b",x" * (width - 1),
            }[kind]
            if kind != "blank":
                bad.append(number)
            lines.append(line + b"\n")
            number += 1
        encoded = written([row], csv.QUOTE_ALL)
        encoded = encoded[encoded.index(b"\n") + 1 :]
        lines.append(encoded)
        good.append((number, tuple(value.encode() or None for value in row)))
        number += len(encoded.splitlines())
    whole = b"".join(lines)
    source = Csv("unused.csv", longest_value=1000)
    for size in BLOCKS:
        with blocks(size):
            found, malformed = rows(whole, source)
            assert found == good
            assert [record.line for record in malformed] == bad
            assert all(record.message and len(record.text) <= 1000 for record in malformed)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80) | st.text(st.sampled_from('ab,"\n\r'), max_size=80).map(str.encode), st.booleans())
@example(b'1,"a\n2,b\n3,c"\n4,d\n', False)
@example(b'1,"x\n2,y\n3,"z\n4,"w\n', False)
@example(b'1,x\r\n"\r\n', True)
def test_any_bytes_give_the_same_rows_in_any_blocks(body: bytes, wide: bool) -> None:
    assume(b"\xef\xbb\xbf" not in body)
    data = (b"a,b,c,d\n" if wide else b"a,b\n") + body
    results = []
    for size in BLOCKS:
        with blocks(size):
            results.append(rows(data))
    assert all(result == results[-1] for result in results)
    found, bad = results[-1]
    lines = [line for line, _ in found] + [record.line for record in bad]
    assert len(set(lines)) == len(lines), "no row is told twice"
    assert all(1 < line <= len(data.splitlines()) for line in lines)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-5, 5), st.floats(-9, 9, width=32), text.filter(lambda t: "," not in t)), max_size=9)
)
def test_typed_columns_come_as_numbers_or_as_text(table: list[tuple[int, float, str]]) -> None:
    data = written([[str(value) for value in row] for row in table] or [["", "", ""]])
    data = b"a,b,c" + data[data.index(b"\n") :]
    for batch in batches(data, columns=KINDS):
        types = {name: batch.columns.schema.field(name).type for name in "abc"}
        assert types == {"a": pa.int64(), "b": pa.float64(), "c": pa.binary()}
    found = [row for batch in batches(data, columns=KINDS) for row in batch.columns.to_pylist()]
    assert [(row["a"], row["b"]) for row in found if row["a"] is not None] == [row[:2] for row in table]


def test_one_bad_number_makes_all_columns_of_its_block_text() -> None:
    (batch,) = batches(b"a,b\n1,2\nx,3\n", columns=KINDS)
    assert batch.columns.to_pydict() == {"a": [b"1", b"x"], "b": [b"2", b"3"]}


@pytest.mark.parametrize(
    ("source", "data", "want"),
    [
        (
            Csv("x", delimiter="\t"),
            b"a\tb\n1\t2\n\t\n3\t,\n",
            [(2, (b"1", b"2")), (3, (None, None)), (4, (b"3", b","))],
        ),
        (Csv("x", quote=None), b'a,b\n"1,2\n', [(2, (b'"1', b"2"))]),
        (Csv("x", quote="'"), b"a,b\n'1,2','it''s\n\"'\n", [(2, (b"1,2", b"it's\n\""))]),
        (Csv("x", escape="\\"), b'a,b\n1\\,2,"\\"x\\"\n"\n3,4\n', [(2, (b"1,2", b'"x"\n')), (4, (b"3", b"4"))]),
        (Csv("x", header=("a", "b")), b"\xef\xbb\xbf1,2\n3,4", [(1, (b"1", b"2")), (2, (b"3", b"4"))]),
        (Csv("x", missing=("NA", "-")), b"a,b\nNA,-\n,x", [(2, (None, None)), (3, (b"", b"x"))]),
        (Csv("x", encoding="utf-16"), "a,b\né,2\n".encode("utf-16"), [(2, ("é".encode(), b"2"))]),
        (Csv("x", encoding="cp1252"), "a,b\n€,2\n".encode("cp1252"), [(2, ("€".encode(), b"2"))]),
        (SOURCE, b'a\n1\n\n""\n"x\n\ny"\n', [(2, (b"1",)), (4, (None,)), (5, (b"x\n\ny",))]),
        (SOURCE, b"\r\n\r\na,b\r\n1,2\r\n", [(4, (b"1", b"2"))]),
        (SOURCE, b' a , "b,c"\n1,2\n'.replace(b' "', b'"'), [(2, (b"1", b"2"))]),
    ],
)
@pytest.mark.parametrize("size", BLOCKS)
def test_dialects(source: Csv, data: bytes, want: Any, size: int) -> None:
    with blocks(size):
        assert rows(data, source) == (want, [])


def test_names_are_trimmed_and_may_be_quoted() -> None:
    (batch,) = batches(b' a ,"b, c"\n1,2\n')
    assert batch.columns.schema.names == ["a", "b, c"]


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("stray", [(2,), (50,), (101,), (2, 101), (10, 11), (10, 90), (10, 50, 90), (5, 6, 7, 8)])
@pytest.mark.parametrize("size", [64, 1 << 20])
def test_a_stray_quote_costs_its_own_line(width: int, stray: tuple[int, ...], size: int) -> None:
    lines = [f"{number},x" + ",y" * (width - 2) for number in range(2, 102)]
    broken = [line.replace("x", '"x', 1) if number in stray else line for number, line in enumerate(lines, 2)]
    header = ",".join("abcd"[:width])
    with blocks(size):
        found, bad = rows("\n".join([header, *broken]).encode())
    assert [line for line, _ in found] == [number for number in range(2, 102) if number not in stray]
    assert [(record.line, record.text) for record in bad] == [(number, broken[number - 2]) for number in stray]
    assert {record.message for record in bad} == {'expected a closing ". Received: none in this line'}


def test_a_quote_that_closes_elsewhere_is_seen_by_the_rows_that_it_swallows() -> None:
    data = b'a,b,c,d\n1,"x,y,z\n2,x,y,z\n3,x,y,z\n4,x",y,z\n5,x,y,z\n'
    found, bad = rows(data)
    assert [line for line, _ in found] == [3, 4, 5, 6]
    assert [record.line for record in bad] == [2]


def test_stray_quotes_do_not_take_forever() -> None:
    lines = [f"{i},1.5,{chr(34) if i % 50 == 0 else ''}Blue,x" for i in range(20_000)]
    began = time.monotonic()
    found, bad = rows(("a,b,c,d\n" + "\n".join(lines)).encode())
    assert (len(found), len(bad)) == (19_600, 400)
    assert time.monotonic() - began < 20


def test_a_line_that_is_too_long_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "LONGEST_RECORD", 1000)
    for end in (b"\n", b"\r\n", b"\r"):
        data = end.join([b"a", b"1", b"x" * 5000, b"2", b""])
        with blocks(100):
            found, bad = rows(data)
        assert found == [(2, (b"1",)), (4, (b"2",))]
        assert [record.line for record in bad] == [3]
        assert "expected a line of at most" in bad[0].message


def test_a_record_longer_than_a_block_is_read_whole() -> None:
    data = b'a,b\n1,"' + b"x\n" * 500 + b'"\n2,y\n'
    with blocks(16):
        assert rows(data) == ([(2, (b"1", b"x\n" * 500)), (503, (b"2", b"y"))], [])


def test_a_header_longer_than_a_block_is_read_whole() -> None:
    names = [f"a long name of a column, {number}" for number in range(100)]
    data = ",".join(f'"{name}"' for name in names).encode() + b"\n" + b",".join([b"1"] * 100) + b"\n"
    with blocks(50):
        (batch,) = [batch for batch in batches(data) if batch.columns.num_rows]
    assert batch.columns.schema.names == names
    assert batch.lines.tolist() == [2]


def test_bytes_that_are_no_utf8_are_shown_as_such() -> None:
    _, (record, ragged) = rows(b"a,b\n\xff\xfe,\xef\xbf\xbd\nx\xe9\n1,2\n")
    assert record == Malformed(
        2, "expected UTF-8. Received: other bytes. Next: Csv(…, encoding='latin-1'), or what it is", "��,�"
    )
    assert ragged == Malformed(3, "expected 2 values. Received: 1", "x�")


def test_a_replacement_character_is_good_text() -> None:
    found, bad = rows("a,b\n�,1\n".encode() + b"\xff,2\n")
    assert found == [(2, ("�".encode(), b"1"))]
    assert [record.line for record in bad] == [3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"a,b,a,b\n", "names a, b more than once"),
        (b"a,,c\n", "has no name for column 2"),
        (b"a,\0\n", "has a NUL byte"),
        (b'a,"b\n1,2\n', "never closed"),
        (b"\xff\xfea\0", "Received: UTF-16"),
        (b"\x1f\x8bxx", "gzip data. Next: give it a name that ends in .gz"),
        (b"PAR1xx", "Parquet(path)"),
        (b"Obj\x01xx", "Avro(path)"),
        (b"PK\x03\x04", "a zip archive"),
        (b"caf\xe9\n1\n", "the header can't be read"),
    ],
)
def test_a_header_that_can_not_be(data: bytes, message: str) -> None:
    for act in (batches, lambda data: csv_reader.start(io.BytesIO(data), "f.csv", SOURCE)):
        with pytest.raises(DataBlocked) as caught:
            act(data)
        assert message in str(caught.value)
        assert "f.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "source", "want"),
    [
        (b"a,b\n1,2\n", SOURCE, (["a", "b"], True)),
        (b"a,b\n", SOURCE, (["a", "b"], False)),
        (b"a,b\n\n\r\n  \n", SOURCE, (["a", "b"], False)),
        (b"a,b\n" + b"\n" * 200_000 + b"1,2", SOURCE, (["a", "b"], True)),
        (b"1,2\n", Csv("x", header=("a", "b")), (["a", "b"], True)),
        (b"", Csv("x", header=("a", "b")), (["a", "b"], False)),
    ],
)
def test_start(data: bytes, source: Csv, want: Any) -> None:
    assert csv_reader.start(io.BytesIO(data), "f.csv", source) == want


def test_an_encoding_that_python_does_not_know() -> None:
    with pytest.raises(TaskError, match="no encoding 'klingon'"):
        batches(b"a\n", Csv("x", encoding="klingon"))


def test_text_of_another_encoding_than_the_source_says() -> None:
    with pytest.raises(DataBlocked, match=r"f\.csv: not ascii"):
        batches("a\né\n".encode(), Csv("x", encoding="ascii"))


class Slow(io.RawIOBase):
    """Gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(min(size, 3) if size > 0 else size)


@pytest.mark.parametrize("opened", [io.BytesIO, Slow])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_streams_that_give_little_at_a_time(opened: Callable[[bytes], BinaryIO], encoding: str) -> None:
    data = "a,b\r\né,2\r\n\U0001f600,4\r\n".encode(encoding)
    found = [b.columns.to_pydict() for b in csv_reader.read(opened(data), "f", Csv("x", encoding=encoding), {})]
    assert found == [{"a": ["é".encode(), "\U0001f600".encode()], "b": [b"2", b"4"]}]
