"""The lines of a CSV file as our ExampleGen divides them, so that the template can be given the very same splits.

split_lines(load("taxi_tips"), Path("trips/data.csv"), folder)     -> {"train": 10022, "eval": 4980}
"""

from pathlib import Path

import numpy as np

from pipeline import schema
from pipeline.ingest import checking, columns
from pipeline.ingest.partition import Partition
from pipeline.sources import Csv
from pipeline.task import Task


def split_lines(task: Task, file: Path, folder: Path) -> dict[str, int]:
    """Writes `<split>/data.csv` with the header and each line as it is; lines that our ExampleGen keeps out are left out.

    Args:
        task: with a reviewed schema and a split by hash.
        file: CSV, a row a line.
        folder: to write to.

    Returns:
        The rows of each split.
    """
    reviewed = schema.path_of(task.name)
    if reviewed is None:
        raise ValueError(f"task {task.name!r} has no reviewed schema")
    partition = Partition(task.split)
    job = checking.Job(
        Csv(str(file)), columns.of_schema(schema.read(reviewed)), dict(task.columns), task.rows, partition
    )
    lines = file.read_bytes().splitlines(keepends=True)
    chosen: dict[str, list[bytes]] = {name: [lines[0]] for name in partition.names}
    for checked in checking.checked(job, checking.Unit(str(file), 0)):
        splits = np.asarray(partition.names)[partition.of(checked.columns, checked.hashes, None)]
        for split, line in zip(splits, checked.lines, strict=True):
            chosen[split].append(lines[line - 1])
    for split, found in chosen.items():
        (folder / split).mkdir(parents=True)
        (folder / split / file.name).write_bytes(b"".join(found))
    return {split: len(found) - 1 for split, found in chosen.items()}
