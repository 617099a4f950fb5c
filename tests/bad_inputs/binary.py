"""Faults of compressed and of binary files."""

import datetime
import decimal
import gzip

import pyarrow as pa

from pipeline.sources import Avro, Parquet, TfRecord
from tests.bad_inputs.build import (
    HEADER,
    avro,
    avro_bytes,
    changed,
    columns,
    csv,
    cut,
    examples,
    files,
    flipped,
    good,
    line,
    parquet,
    parquet_bytes,
    tfrecord,
)
from tests.bad_inputs.case import clean, quarantine, stop

COMPRESSED = (
    clean("gzip", csv(gzip.compress(changed(good(1, 2, 3))), "data.csv.gz")),
    clean(
        "gzip of two members", csv(gzip.compress(changed(good(1))) + gzip.compress(line(2).encode()), "a.csv.gz"), 1, 2
    ),
    stop("truncated gzip", csv(cut(gzip.compress(changed(good(1, 2, 3)))), "data.csv.gz"), "data.csv.gz", "truncated"),
    stop(
        "truncated gzip after many rows",
        csv(gzip.compress(changed(good(*range(1, 29)) * 4000, _1=HEADER))[:-9], "a.csv.gz"),
        "truncated",
    ),
    stop(
        "damaged gzip",
        csv(flipped(gzip.compress(changed(good(*range(1, 29))))), "data.csv.gz"),
        "data.csv.gz",
        "damaged",
    ),
    stop("a .gz that is none", csv(good(1), "data.csv.gz"), "not a compressed file"),
    stop("gzip without .gz", csv(gzip.compress(changed(good(1, 2, 3)))), "gzip data", "ends in .gz"),
)

_NESTED = pa.array([{"a": 1}] * 3)

BINARY = (
    stop(
        "CSV source of a Parquet file", csv(parquet_bytes(columns(1, 2)), "data.csv"), "a Parquet file", "Parquet(path)"
    ),
    stop("CSV source of an Avro file", csv(avro_bytes(3)), "an Avro file"),
    stop(
        "Parquet source of a CSV file",
        files({"data.parquet": changed(good(1))}, Parquet, "data.parquet"),
        "not a Parquet file",
    ),
    stop(
        "truncated Parquet",
        files({"data.parquet": cut(parquet_bytes(columns(1, 2, 3)))}, Parquet, "data.parquet"),
        "truncated",
    ),
    stop("an empty Parquet file", files({"data.parquet": b""}, Parquet, "data.parquet"), "the file is empty"),
    stop("Parquet without rows", files({"data.parquet": parquet_bytes(columns())}, Parquet, "data.parquet"), "no rows"),
    clean("Parquet with integers as text", parquet(id=pa.array(["1", "2", "3"]))),
    quarantine(
        "Parquet with text among integers as text",
        parquet(id=pa.array(["1", "two", "3"])),
        (1, 3),
        ((2, "type"),),
        "an integer",
    ),
    clean("Parquet with decimals", parquet(fare=pa.array([decimal.Decimal("1.25")] * 3, pa.decimal128(9, 2)))),
    clean("Parquet with timestamps", parquet(day=pa.array([datetime.datetime(2024, 1, 2)] * 3, pa.timestamp("ns")))),
    quarantine(
        "Parquet with the year 33658",
        parquet(day=pa.array([0, 10**18, 0], pa.timestamp("us"))),
        (1, 3),
        ((2, "type"),),
        "text",
    ),
    clean("Parquet with a dictionary", parquet(company=pa.array(["Blue", "Teal", "Blue"]).dictionary_encode())),
    quarantine(
        "Parquet with uint64", parquet(id=pa.array([1, 2**63, 3], pa.uint64())), (1, 3), ((2, "type"),), "an integer"
    ),
    quarantine(
        "Parquet with NaN and inf",
        parquet(fare=pa.array([float("nan"), float("inf"), 1.0])),
        (1, 3),
        ((2, "finite"),),
        "finite",
    ),
    stop("Parquet with a nested column", parquet(fare=_NESTED), "column 'fare': expected FLOAT", "struct"),
    clean("Parquet with a nested column that nobody knows", parquet(extra=_NESTED), new=("extra",)),
    stop("Parquet without the label", parquet(tips=None), "column 'tips', the label, is missing"),
    stop("truncated Avro", avro(cut(avro_bytes(500))), "truncated"),
    stop("Avro source of something else", avro(changed(good(1))), "not an Avro file"),
    stop("truncated TFRecord", tfrecord(examples(1, 2, 3, 4), cut, compressed=False), "truncated"),
    stop("truncated TFRecord, compressed", tfrecord(examples(1, 2, 3), cut), "truncated"),
    stop("a TFRecord of something else", tfrecord([b"hello", b"world"]), "a TFRecord of something else"),
    quarantine(
        "a TFRecord with a damaged record",
        tfrecord(examples(1, 2, 3), flipped, compressed=False),
        (1, 3),
        ((2, "parse"),),
        "checksum",
    ),
    stop(
        "a CSV file for a TFRecord", files({"data.tfrecord": changed(good(1))}, TfRecord, "data.tfrecord"), "TFRecord"
    ),
    stop("an archive", csv(b"PK\x03\x04" + bytes(60), "data.csv"), "a zip archive"),
    stop("an empty TFRecord", files({"data.tfrecord": b""}, TfRecord, "data.tfrecord"), "empty"),
    stop("an empty Avro file", files({"data.avro": b""}, Avro, "data.avro"), "the file is empty"),
)
