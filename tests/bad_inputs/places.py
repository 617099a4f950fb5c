"""Faults of files and folders, of spans and windows."""

import gzip
import os
from pathlib import Path

from pipeline.sources import Csv, Source
from pipeline.splits import SpanSplit
from tests.bad_inputs.build import Build, changed, columns, csv, cut, files, good, line, parquet_bytes
from tests.bad_inputs.case import clean, error, stop


def _three(**replaced: str) -> Build:
    return csv(changed(good(1, 2, 3), **replaced))


def _days(*days: str) -> Build:
    return files(
        {f"{day}/data.csv": changed(good(number)) for number, day in enumerate(days, 1)},
        Csv,
        "{YYYY}-{MM}-{DD}/data.csv",
    )


def _folder_in_folder(folder: Path) -> Source:
    source = files({"1.csv": changed(good(1)), "inner/2.csv": changed(good(2))}, Csv)
    return source(folder)


def _pipe(folder: Path) -> Source:
    os.mkfifo(folder / "data.csv")
    return Csv(f"{folder}/data.csv")


def _dangling(folder: Path) -> Source:
    (folder / "2.csv").symlink_to(folder / "gone.csv")
    return files({"1.csv": changed(good(1))}, Csv)(folder)


def _unreadable(folder: Path) -> Source:
    source = _three()(folder)
    (folder / "data.csv").chmod(0)
    return source


def _append(folder: Path) -> None:
    with (folder / "data.csv").open("ab") as stream:
        stream.write(f"{line(4)}\n".encode())


def _rewrite(folder: Path) -> None:
    path = folder / "data.csv"
    path.write_bytes(path.read_bytes().replace(b"Blue", b"Teal"))
    os.utime(path, ns=(1, 1))


FILES = (
    stop(
        "two broken files among good ones",
        files({"1.csv": changed(good(1)), "2.csv": b"", "3.csv": changed(good(3)), "4.csv": b"id\n1\n"}, Csv),
        "2.csv: the file is empty",
        "4.csv: column 'fare'",
    ),
    stop(
        "a truncated file among good ones",
        files({"1.csv.gz": gzip.compress(changed(good(1))), "2.csv.gz": cut(gzip.compress(changed(good(2))))}, Csv),
        "2.csv.gz",
    ),
    clean(
        "columns in another order in each file",
        files({"1.csv": changed(good(1)), "2.csv": b"tips,day,id,company,fare\n1.0,2024-01-01,2,Blue,2.5\n"}, Csv),
        1,
        2,
    ),
    stop(
        "another format among the files",
        files({"1.csv": changed(good(1)), "2.parquet": parquet_bytes(columns(2))}, Csv),
        "2.parquet: expected CSV text. Received: a Parquet file",
    ),
    error("a folder in the folder", _folder_in_folder, "inner: expected files only"),
    error("a dangling link in the folder", _dangling, "2.csv: expected files only"),
    error("a named pipe", _pipe, "data.csv"),
    clean("_SUCCESS and hidden files", files({"1.csv": changed(good(1)), "_SUCCESS": b"", ".1.crc": b"x"}, Csv), 1),
    error("a folder without a file", files({"_SUCCESS": b""}, Csv), "no file matches"),
    error("unreadable permissions", _unreadable, "can't be read by this user", "chmod +r"),
    stop("a file that grows while it is read", _three(), "changed while", during=_append),
    stop("a file that is rewritten while it is read", _three(), "changed while", during=_rewrite),
    error(
        "a file that is deleted while it is read",
        _three(),
        "does not exist",
        during=lambda folder: (folder / "data.csv").unlink(),
    ),
    error("a glob that matches nothing", files({"1.csv": changed(good(1))}, Csv, "*.tsv"), "no file matches"),
    error("a missing file", files({"trips.csv": changed(good(1))}, Csv, "trip.csv"), "does not exist", "trips.csv"),
    error("a missing folder", files({}, Csv, "no/such"), "does not exist"),
    error("a date that is none", _days("2024-01-01", "2024-13-45"), "no such date: 2024-13-45"),
    error("no span", files({"x/data.csv": changed(good(1))}, Csv, "{SPAN}/data.csv"), "no file matches"),
    error("a window without spans", _three(), "{SPAN} or a date in the path", window=2),
    error("a window shorter than the split", _days("2024-01-01"), "Expected a window of more", split=SpanSplit()),
    clean("a gap in the window", _days("2024-01-01", "2024-01-04"), 1, 2, window=4),
)
