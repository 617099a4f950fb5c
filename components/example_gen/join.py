"""Makes one result of the parts that workers wrote: shards with their names, one quarantine, one account."""

import dataclasses
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

from pipeline.errors import DataBlocked, MillraceError, UsageError, raise_all
from pipeline.ingest import column_shards, columnar, files, quarantine
from pipeline.ingest.account import Account
from pipeline.ingest.sample import HashSample

Manifest = Mapping[str, Any]


def check(written: Sequence[Manifest], count: int) -> None:
    """Raises where files could not be used.

    Args:
      written: the manifests of all groups of files, in order.
      count: how many files there are.

    Raises:
      DataBlocked: some files could not be used; all are told.
      UsageError: some could not be found or read.
    """
    failed = [failure for manifest in written for failure in manifest["failed"]]
    kind: type[MillraceError] = UsageError if all(usage for _, usage in failed) else DataBlocked
    if len(failed) == 1:
        raise kind(failed[0][0])
    raise_all(kind, f"{len(failed)} of {count} files can't be used:", [error for error, _ in failed])


def shards(written: Sequence[Manifest], examples: types.Artifact, folder: str) -> None:
    """Renames the shards to TFX's names; a split without rows gets a shard without records."""
    for split in artifact_utils.decode_split_names(examples.split_names):
        target = artifact_utils.get_split_uri([examples], split)
        fileio.makedirs(target)
        paths = [path for manifest in written for path in manifest["shards"][split]]
        if not paths:
            paths = [f"{folder}/empty-{split}"]
            with files.create(paths[0]) as stream:
                stream.write(gzip.compress(b""))
        for number, path in enumerate(paths):
            fileio.rename(path, f"{target}/data_tfrecord-{number:05d}-of-{len(paths):05d}.gz")


def columns(written: Sequence[Manifest], examples: types.Artifact, folder: str) -> None:
    """Renames the columns of the shards, and writes their index, last; a split with heavy rows has none."""
    index: list[dict[str, Any]] = []
    for split in artifact_utils.decode_split_names(examples.split_names):
        found = [(manifest["span"], shard) for manifest in written for shard in manifest["columns"][split]]
        if not found:
            found = [(None, {"path": f"{folder}/empty-{split}.arrow", "rows": 0, "digest": ""})]
            with files.create(found[0][1]["path"]) as stream:
                column_shards.empty(stream)
        kept = all(shard["path"] for _, shard in found)
        target = f"{columnar.FOLDER}/{split}"
        if kept:
            fileio.makedirs(f"{examples.uri}/{target}")
        for number, (span, shard) in enumerate(found):
            name = f"data_tfrecord-{number:05d}-of-{len(found):05d}"
            if kept:
                fileio.rename(shard["path"], f"{examples.uri}/{target}/{name}.arrow")
            about = columnar.Shard(
                split=split,
                file=f"{target}/{name}.arrow" if kept else None,
                records=f"Split-{split}/{name}.gz",
                rows=shard["rows"],
                span=span,
                digest=shard["digest"],
            )
            index.append(dataclasses.asdict(about))
    fileio.makedirs(f"{examples.uri}/{columnar.FOLDER}")
    text = json.dumps({"shards": index}, indent=1)
    io_utils.write_string_file(f"{examples.uri}/{columnar.FOLDER}/{columnar.INDEX}", text)


def accounts(written: Sequence[Manifest]) -> Account:
    """The account of all files.

    Raises:
      MillraceError: it does not add up.
    """
    total = Account()
    for manifest in written:
        total.add(Account.of_record(manifest["account"]))
    total.check()
    return total


def quarantined(written: Sequence[Manifest], uri: str) -> None:
    """Joins the rows that were kept out: `rows.parquet`, and `rows.csv` of the first."""
    with files.create(f"{uri}/rows.parquet") as parquet, files.create(f"{uri}/rows.csv") as text:
        quarantine.merge((manifest["quarantine"] for manifest in written), parquet, text)


def hashes(written: Sequence[Manifest], uri: str) -> float:
    """Joins the samples of hashes, all cut to one threshold: `hashes/<split>.npy`, `entities/<split>.npy`.

    Returns:
      The share of all hashes that the samples have.
    """
    joined: dict[str, HashSample] = {}
    for manifest in (manifest for manifest in written if manifest["bits"]):  # an archive of nothing can't be opened
        with files.open_binary(manifest["hashes"]) as stream, np.load(stream) as arrays:
            for name, bits in manifest["bits"].items():
                sample = joined.setdefault(name, HashSample())
                sample.limit(bits)
                sample.add(arrays[name])
    bits = min((sample.bits for sample in joined.values()), default=HashSample().bits)
    for name, sample in joined.items():
        sample.limit(bits)
        fileio.makedirs(f"{uri}/{name.partition('/')[0]}")
        with files.create(f"{uri}/{name}.npy") as stream:
            np.save(stream, sample.values)
    return HashSample(bits).fraction
