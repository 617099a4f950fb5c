"""Writes the files of the corpus: good ones, and the same with one fault."""

import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
from tfx_bsl.coders import example_coder

from pipeline.ingest.shards import framed
from pipeline.sources import Avro, Csv, JsonLines, Parquet, Source, TfRecord

Build = Callable[[Path], Source]

HEADER = "id,fare,company,day,tips"


def line(number: int) -> str:
    """A good row as CSV."""
    return f"{number},{number}.5,Blue,2024-01-{number:02d},1.0"


def good(*numbers: int) -> list[str]:
    """A header and good rows."""
    return [HEADER, *(line(number) for number in numbers)]


def changed(rows: Sequence[str], **replaced: str) -> bytes:
    """CSV text; `_3="x"` puts x in place of its line 3."""
    lines = [replaced.get(f"_{number}", text) for number, text in enumerate(rows, 1)]
    return ("\n".join(lines) + "\n").encode()


def files(contents: Mapping[str, bytes], source: Callable[[str], Source], path: str = "") -> Build:
    """Writes files, name -> bytes; the source reads `path` below their folder."""

    def build(folder: Path) -> Source:
        for name, data in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return source(f"{folder}/{path}" if path else str(folder))

    return build


def csv(data: bytes | Sequence[str], name: str = "data.csv", **settings: Any) -> Build:
    """A CSV file of bytes or lines."""
    text = data if isinstance(data, bytes) else changed(data)
    return files({name: text}, lambda path: Csv(path, **settings), name)


def jsonl(*lines: str | bytes) -> Build:
    """A JSON Lines file."""
    data = b"".join((text.encode() if isinstance(text, str) else text) + b"\n" for text in lines)
    return files({"data.jsonl": data}, JsonLines, "data.jsonl")


def json_row(number: int) -> str:
    """A good row as JSON."""
    return f'{{"id": {number}, "fare": {number}.5, "company": "Blue", "day": "2024-01-{number:02d}", "tips": 1.0}}'


def columns(*numbers: int) -> dict[str, pa.Array]:
    """Good rows as columns."""
    return {
        "id": pa.array(numbers, pa.int64()),
        "fare": pa.array([number + 0.5 for number in numbers], pa.float64()),
        "company": pa.array(["Blue"] * len(numbers), pa.string()),
        "day": pa.array([f"2024-01-{number:02d}" for number in numbers], pa.string()),
        "tips": pa.array([1.0] * len(numbers), pa.float64()),
    }


def parquet_bytes(made: Mapping[str, pa.Array]) -> bytes:
    """A Parquet file."""
    stream = io.BytesIO()
    pq.write_table(pa.table(dict(made)), stream)
    return stream.getvalue()


def parquet(**replaced: pa.Array | None) -> Build:
    """A Parquet file of three rows, some columns of it replaced or, for None, left out."""
    made = {name: column for name, column in {**columns(1, 2, 3), **replaced}.items() if column is not None}
    return files({"data.parquet": parquet_bytes(made)}, Parquet, "data.parquet")


def avro_bytes(count: int) -> bytes:
    """An Avro file of that many rows."""
    kinds = {"id": "long", "fare": "double", "company": "string", "day": "string", "tips": "double"}
    schema = {"type": "record", "name": "Row", "fields": [{"name": n, "type": kind} for n, kind in kinds.items()]}
    rows = pa.table(columns(*[number % 28 + 1 for number in range(count)])).to_pylist()
    stream = io.BytesIO()
    fastavro.writer(stream, schema, rows, codec="deflate", sync_interval=1000)
    return stream.getvalue()


def avro(data: bytes) -> Build:
    """An Avro file of these bytes."""
    return files({"data.avro": data}, Avro, "data.avro")


def examples(*numbers: int) -> list[bytes]:
    """Good rows as serialised tf.Examples."""
    made = {name: column for name, column in columns(*numbers).items()}
    kinds = {"id": pa.int64(), "company": pa.binary(), "day": pa.binary()}
    batch = pa.RecordBatch.from_pydict(
        {
            n: pa.array(
                [[v] for v in c.cast(kinds.get(n, pa.float32())).to_pylist()], pa.list_(kinds.get(n, pa.float32()))
            )
            for n, c in made.items()
        }
    )
    return list(example_coder.RecordBatchToExamplesEncoder().encode(batch))


def tfrecord(records: Sequence[bytes], change: Callable[[bytes], bytes] = bytes, compressed: bool = True) -> Build:
    """A TFRecord file, whose bytes `change` spoils."""
    data = framed(records)
    return files({"data.tfrecord": change(gzip.compress(data) if compressed else data)}, TfRecord, "data.tfrecord")


def cut(data: bytes) -> bytes:
    """The first two thirds."""
    return data[: len(data) * 2 // 3]


def flipped(data: bytes) -> bytes:
    """With one byte in the middle changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
