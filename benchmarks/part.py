"""A part of a pipeline, run once in this process: what each node took, and the memory beyond that of the imports.

    python -m benchmarks.part ours-ingest --data trips/data.csv --root FOLDER --out part.json
    python -m benchmarks.part ours-validation --data trips/data.csv --root FOLDER --out part.json
    python -m benchmarks.part stock-ingest --data trips --root FOLDER --out part.json
    python -m benchmarks.part stock-validation --data FOLDER/taxi_tips/artifacts/ExampleGen/examples/2 …

`part.json`: `{nodes: {id: seconds}, import_mb, peak_mb, examples}`; `examples` is the folder of the rows. Our parts are
cut out of the task's own pipeline. `ours-validation` needs the root of `ours-ingest`, whose rows it finds in the cache;
`stock-validation` reads the rows of any run.
"""

import importlib
import json
import resource
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

TASK = "taxi_tips"
_BEAM = ["--runner=FnApiRunner"]


class Part(StrEnum):
    """What can be run."""

    OURS_INGEST = "ours-ingest"
    OURS_VALIDATION = "ours-validation"
    STOCK_INGEST = "stock-ingest"
    STOCK_VALIDATION = "stock-validation"


def ours(data: Path, root: Path, last: str) -> Any:
    """The task's pipeline up to a node.

    Args:
        data: CSV or Parquet file.
        root: of the run.
        last: id of the node.
    """
    from tfx.orchestration.pipeline import Pipeline

    from pipeline import tasks
    from pipeline.config import RunConfig
    from pipeline.dag import build_pipeline

    config = RunConfig(TASK, root=str(root), data=str(data))
    config.home.mkdir(parents=True, exist_ok=True)
    whole = build_pipeline(tasks.load(TASK), config)
    by_id = {node.id: node for node in whole.components}
    wanted, found = [by_id[last]], set()
    while wanted:
        node = wanted.pop()
        found.add(node.id)
        wanted += [before for before in node.upstream_nodes if before.id not in found]
    kept = [node for node in whole.components if node.id in found]
    for node in kept:  # TFX refuses a pipeline in which a node that something waits for is not there
        node._downstream_nodes.intersection_update(kept)
    return Pipeline(
        pipeline_name=whole.pipeline_info.pipeline_name,
        pipeline_root=whole.pipeline_info.pipeline_root,
        components=kept,
        enable_cache=True,
        metadata_connection_config=whole.metadata_connection_config,
        beam_pipeline_args=whole.beam_pipeline_args,
    )


def stock_ingest(data: Path, root: Path) -> Any:
    """CsvExampleGen as it comes: two thirds train, one third eval.

    Args:
        data: folder of CSV files.
        root: of the run.
    """
    from tfx.components import CsvExampleGen

    return _stock([CsvExampleGen(input_base=str(data)).with_id("ExampleGen")], root)


def stock_validation(data: Path, root: Path) -> Any:
    """StatisticsGen and ExampleValidator as they come, on rows that are there, with the task's schema.

    Args:
        data: folder of an Examples artifact.
        root: of the run.
    """
    from tfx.components import ExampleValidator, StatisticsGen
    from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
    from tfx.dsl.components.common.importer import Importer
    from tfx.types.standard_artifacts import Examples

    from pipeline import schema

    curated = ImportSchemaGen(schema_file=str(schema.path_of(TASK)))
    splits = sorted(folder.name.removeprefix("Split-") for folder in data.glob("Split-*"))
    rows = Importer(
        source_uri=str(data), artifact_type=Examples, properties={"split_names": json.dumps(splits)}
    ).with_id("Rows")
    statistics = StatisticsGen(examples=rows.outputs["result"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=curated.outputs["schema"])
    return _stock([curated, rows, statistics, validator], root)


def _stock(nodes: list[Any], root: Path) -> Any:
    from tfx.orchestration.metadata import sqlite_metadata_connection_config
    from tfx.orchestration.pipeline import Pipeline

    return Pipeline(
        pipeline_name="stock",
        pipeline_root=str(root / "artifacts"),
        components=nodes,
        enable_cache=False,
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.db")),
        beam_pipeline_args=_BEAM,
    )


PARTS: dict[Part, Callable[[Path, Path], Any]] = {
    Part.OURS_INGEST: lambda data, root: ours(data, root, "ExampleGen"),
    Part.OURS_VALIDATION: lambda data, root: ours(data, root, "DataGate"),
    Part.STOCK_INGEST: stock_ingest,
    Part.STOCK_VALIDATION: stock_validation,
}
_LEFT_OUT = {
    Part.OURS_INGEST: {"SchemaGen"},
    Part.OURS_VALIDATION: {"ExampleGen", "SchemaGen"},
    Part.STOCK_INGEST: set(),
    Part.STOCK_VALIDATION: {"ImportSchemaGen", "Rows"},
}
"""Nodes that hand over what was there before; they are not counted."""


def main(
    part: Part,
    data: Annotated[Path, typer.Option(help="What the part reads.", exists=True)],
    root: Annotated[Path, typer.Option(help="Where the run writes.")],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
) -> None:
    """Runs the part and writes what it took."""
    chain = importlib.import_module("benchmarks.stock_chain")  # both sides import all that either needs
    importlib.import_module("pipeline.dag")
    import_mb = _peak_mb()
    seconds = chain.run_timed(PARTS[part](data.absolute(), root.absolute()))
    peak_mb = _peak_mb()
    outputs = list(root.rglob("ExampleGen/examples/*"))
    if len(outputs) > 1:  # its time is left out, but not its memory
        raise SystemExit(f"{part}: expected the rows of the cache. Received: ingested again in {root}")
    report = {
        "nodes": {node: took for node, took in seconds.items() if node not in _LEFT_OUT[part]},
        "import_mb": import_mb,
        "peak_mb": peak_mb,
        "examples": str(outputs[0] if outputs else data.absolute()),
    }
    out.write_text(json.dumps(report, indent=2) + "\n")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(main)
