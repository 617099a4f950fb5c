"""TFRecord of tf.Examples: values, record numbers, and each damaged record accounted for."""

import gzip
import io
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from pipeline.errors import DataBlocked, UsageError
from pipeline.ingest import tfrecord_frames, tfrecord_reader
from pipeline.ingest.batch import RawBatch

SEQUENCE = b"\x0a\x00\x12\x07\x0a\x05\x0a\x01z\x12\x00"
"""A tf.SequenceExample with one feature list."""


def example(**values: Any) -> bytes:
    """A serialised tf.Example; a value is a list."""
    columns = {
        name: pa.array([value], pa.list_(pa.float32()) if isinstance(value[0], float) else None)
        for name, value in values.items()
        if value
    }
    if not columns:
        return b""
    (encoded,) = RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_pydict(columns))
    return bytes(encoded)


def frame(data: bytes) -> bytes:
    def mask(crc: int) -> int:
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    size = struct.pack("<Q", len(data))
    checksums = (struct.pack("<I", mask(google_crc32c.value(part))) for part in (size, data))
    return size + next(checksums) + data + next(checksums)


def framed(*records: bytes) -> bytes:
    return b"".join(frame(record) for record in records)


def batches(data: bytes, compression: str = "auto") -> list[RawBatch]:
    source = SimpleNamespace(compression=compression)
    made = list(tfrecord_reader.read(io.BytesIO(data), "trips.tfrecord", source, {}))
    assert all(batch.columns.num_rows == len(batch.lines) for batch in made)
    return made


def one(data: bytes) -> RawBatch:
    (batch,) = batches(data)
    return batch


def blocked(data: bytes) -> str:
    with pytest.raises(DataBlocked) as caught:
        batches(data)
    return str(caught.value)


MANY = [example(n=[i], fare=[i / 2], company=[b"c%d" % (i % 9)]) for i in range(40)]


def test_the_frames_are_tensorflows(tmp_path: Path) -> None:
    import tensorflow as tf

    path = str(tmp_path / "trips.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for record in MANY:
            writer.write(record)
    with open(path, "rb") as stream:
        assert stream.read() == framed(*MANY)


def test_values_types_and_record_numbers() -> None:
    batch = one(framed(example(fare=[1.5], company=[b"Blue"], hour=[7]), example(fare=[2.5]), example(hour=[8])))
    assert batch.columns.schema == pa.schema({"company": pa.binary(), "fare": pa.float32(), "hour": pa.int64()})
    assert batch.columns.to_pylist() == [
        {"company": b"Blue", "fare": 1.5, "hour": 7},
        {"company": None, "fare": 2.5, "hour": None},
        {"company": None, "fare": None, "hour": 8},
    ]
    assert batch.lines.tolist() == [1, 2, 3]
    assert batch.malformed == ()


def test_a_feature_with_several_values_is_a_column_of_lists() -> None:
    batch = one(framed(example(tags=[b"a", b"b"], hour=[1]), example(hour=[2]), example(tags=[b"c"])))
    assert batch.columns.schema.field("tags").type == pa.list_(pa.binary())
    assert batch.columns["tags"].to_pylist() == [[b"a", b"b"], None, [b"c"]]
    assert batch.columns["hour"].to_pylist() == [1, 2, None]


def test_an_example_without_features_is_a_row() -> None:
    batch = one(framed(b"", b"\x0a\x00", b""))
    assert batch.lines.tolist() == [1, 2, 3]
    assert batch.columns.num_columns == 0
    assert one(framed(example(a=[1]), b"")).columns["a"].to_pylist() == [1, None]


def test_a_feature_of_several_types_is_text() -> None:
    batch = one(framed(example(x=[1], y=[1]), example(x=[b"one"], y=[2, 3]), example(x=[1.5])))
    assert batch.columns["x"].to_pylist() == ["1", "one", "1.5"]
    assert batch.columns["y"].to_pylist() == [[1], [2, 3], None]


@pytest.mark.parametrize("record", [b"not an example", SEQUENCE, b"\x0a\x05ab", b"\x08\x01"])
def test_a_record_that_is_no_example_costs_no_other(record: bytes) -> None:
    batch = one(framed(MANY[0], record, MANY[1]))
    assert batch.columns["n"].to_pylist() == [0, 1]
    assert batch.lines.tolist() == [1, 3]
    (malformed,) = batch.malformed
    assert (malformed.line, malformed.message) == (2, "expected a tf.Example, received another record")
    assert malformed.text == record.decode()


def test_a_record_with_a_wrong_checksum_costs_no_other() -> None:
    data = bytearray(framed(*MANY[:3]))
    position = len(frame(MANY[0])) + 20
    data[position] ^= 1
    batch = one(bytes(data))
    assert batch.columns["n"].to_pylist() == [0, 2]
    assert batch.lines.tolist() == [1, 3]
    assert batch.malformed[0].line == 2
    assert batch.malformed[0].message.startswith("expected a record with the checksum ")


@pytest.mark.parametrize(
    ("compress", "compression"),
    [
        (bytes, "auto"),
        (bytes, "none"),
        (gzip.compress, "auto"),
        (gzip.compress, "gzip"),
        (zlib.compress, "auto"),
        (zlib.compress, "zlib"),
    ],
)
def test_compression(compress: Any, compression: str) -> None:
    (batch,) = batches(compress(framed(*MANY)), compression)
    assert batch.columns["n"].to_pylist() == list(range(40))


def test_a_plain_file_whose_first_length_looks_like_gzip() -> None:
    record = example(text=[b"x" * (0x8B1F - 26)])
    assert struct.pack("<Q", len(record))[:2] == b"\x1f\x8b"
    assert one(framed(record)).lines.tolist() == [1]


def test_a_compression_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="TfRecord: no compression 'gz'\\. Did you mean 'gzip'"):
        batches(framed(*MANY), "gz")


def test_many_records_in_small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord_frames, "_CHUNK", 100)
    monkeypatch.setattr(tfrecord_frames, "ROWS", 7)
    made = batches(framed(*MANY))
    assert [len(batch.lines) for batch in made] == [7, 7, 7, 7, 7, 5]
    assert np.concatenate([batch.lines for batch in made]).tolist() == list(range(1, 41))
    assert np.concatenate([batch.columns["n"] for batch in made]).tolist() == list(range(40))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "trips.tfrecord: the file is empty. Expected TFRecord."),
        (b"fare,hour\n1,2\n", "not a TFRecord file. Received b'fare,hour\\n1,' at its start. Next: check the source"),
        (framed(SEQUENCE, SEQUENCE), "a TFRecord of something else. Expected tf.Examples. Received in record 1"),
        (framed(b"plain text", *MANY), "a TFRecord of something else"),
        (framed(MANY[0])[:-1] + b"\0", "none of the first 1 records is a sound tf.Example: expected a record with"),
        (framed(*MANY)[:-1], "the file is truncated after record 39. Next: copy or write it again"),
        (framed(*MANY) + b"\1", "the file is truncated after record 40."),
        (
            framed(*MANY) + b"\1" * 12,
            "the file is damaged after record 40: the length of the next has a wrong checksum",
        ),
        (gzip.compress(framed(*MANY), mtime=0)[:-9], "trips.tfrecord: the compressed file is truncated"),
    ],
    ids=["empty", "csv", "sequences", "text", "checksum", "end", "one byte more", "rest", "gzip"],
)
def test_a_file_that_cannot_be_used(data: bytes, message: str) -> None:
    assert message in blocked(data)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_every_record_before_a_truncation_is_accounted_for(draw: st.DataObject) -> None:
    data = framed(*MANY)
    ends = np.cumsum([len(frame(record)) for record in MANY]).tolist()
    size = draw.draw(st.integers(ends[0], len(data) - 1))
    whole = sum(end <= size for end in ends)
    rows, error = _read_all(data[:size])
    assert rows == list(range(whole))
    assert (size in ends) == (error == "")
    assert not error or f"truncated after record {whole}." in error


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_every_record_is_a_row_or_malformed_whatever_byte_is_damaged(position: int, change: int) -> None:
    data = bytearray(framed(*MANY))
    first = len(frame(MANY[0]))
    position = first + position % (len(data) - first)
    data[position] ^= change
    ends = np.cumsum([len(frame(record)) for record in MANY]).tolist()
    damaged = sum(end <= position for end in ends)
    rows, error = _read_all(bytes(data))
    if error:  # the length of a record, and with it what follows
        assert rows == list(range(damaged))
        assert f"damaged after record {damaged}:" in error
    else:
        assert rows == [n for n in range(40) if n != damaged]


def _read_all(data: bytes) -> tuple[list[int], str]:
    """The values that were read, and the error that ended it; each record that was read is a row or malformed."""
    rows: list[int] = []
    accounted: list[int] = []
    error = ""
    try:
        for batch in tfrecord_reader.read(io.BytesIO(data), "trips.tfrecord", None, {}):
            rows += batch.columns["n"].to_pylist()
            accounted += [*batch.lines.tolist(), *(record.line for record in batch.malformed)]
    except DataBlocked as stopped:
        error = str(stopped)
    assert sorted(accounted) == list(range(1, len(accounted) + 1))
    return rows, error
