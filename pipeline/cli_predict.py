"""`millrace predict`: answers to files of rows.

    millrace predict taxi_tips --data trips.csv --out tips.parquet
    millrace predict taxi_tips --data 's3://bucket/day=*/trips.parquet' --out tips/ --keys trip_id

docs/predict.md has formats, columns, errors and figures.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pipeline import tasks
from pipeline.beam import settings
from pipeline.cli_beam import BeamOptions, BeamRunner
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, UsageError, nearest
from pipeline.runners import remote_root
from pipeline.terminal import console, print_json

_FORMATS = ("parquet", "csv")
_STDERR = 2


def predict(
    task: Annotated[str, typer.Argument(help="The task whose model answers.")] = "taxi_tips",
    data: Annotated[
        str, typer.Option(help="CSV, Parquet, JSON Lines, TFRecord or Avro: file, folder or pattern.")
    ] = "",
    out: Annotated[str, typer.Option(help="A .parquet or .csv file, or a folder of shards (ends in /).")] = "",
    root: Annotated[str, typer.Option(help="Folder of all runs and served models.")] = "runs",
    version: Annotated[str | None, typer.Option(help="The served version; default the highest.")] = None,
    model: Annotated[str | None, typer.Option(help="Folder of another model, in place of the served one.")] = None,
    keys: Annotated[
        str | None,
        typer.Option(metavar="COL,COL", help="Input columns to write; default file, line and all but images."),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help=f"Of shards in a folder: {' or '.join(_FORMATS)}.")
    ] = "parquet",
    max_errors: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of rows with errors beyond which to exit with 1; default the task's."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier prediction.")] = False,
    beam_runner: BeamRunner = None,
    beam: BeamOptions = None,
    json: Annotated[bool, typer.Option("--json", help="Print the account on standard output.")] = False,
) -> None:
    """Answers each row of files with the served model, or lists it with its error.

    Exit codes: 0 answered, 1 failed or too many errors, 2 usage, 10 files that can't be used.
    """
    for flag, value in (("--data", data), ("--out", out)):
        if not value:
            raise UsageError(f"predict: {flag} is needed. Expected a path. Next: millrace predict --help")
    if version is not None and model is not None:
        raise UsageError("predict: --version chooses among the served models. Expected it or --model, not both")
    if format_ not in _FORMATS:
        raise UsageError(f"--format: no {format_!r}.{nearest(format_, _FORMATS)}")
    engine = settings.given(beam_runner, beam, None, None)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # it logs the traceback of what it then raises
    from pipeline.beam import arguments, checks
    from pipeline.predict import models, served
    from pipeline.predict.request import Request
    from pipeline.predict.run import predict as answer

    asked = tasks.load(task)
    here = remote_root.brought(root, task, "serving") if model is None else root
    config = RunConfig(task, root=here, **engine)
    checks.check_prediction(config, data, out)
    folder, number = served.at(model) if model is not None else served.served(config.serving, version)
    with _without_notices():
        models.load(folder)
    account = answer(
        Request(
            task=asked,
            data=data,
            out=out,
            model=folder,
            version=number,
            keys=tuple(keys.split(",")) if keys is not None else None,
            format=format_,  # type: ignore[arg-type]
            max_errors=asked.rows.max_bad_fraction if max_errors is None else max_errors,
            overwrite=overwrite,
            beam_args=arguments.arguments(config, "BulkInferrer"),
        )
    )
    console(stderr=json).print(said(account), markup=False, soft_wrap=True)
    if json:
        print_json(account)
    raise typer.Exit(ExitCode.PUSHED if account["passed"] else ExitCode.FAILED)


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Drops what TensorFlow's libraries write while they load, past all logging; what goes wrong is raised."""
    kept = os.dup(_STDERR)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def said(account: dict[str, Any]) -> str:
    """An account in a few lines."""
    rows, errors = account["rows"], account["errors"]
    lines = [
        f"{rows:,} rows in = {account['answered']:,} answered + {errors:,} with errors",
        f"model {account['model_version']} · {account['seconds']:.1f} s · {account['out']}",
    ]
    for rule in account["rules"][:5]:
        where = f"column {rule['column']!r}: " if rule["column"] else ""
        lines.append(f"  {rule['rows']:,} x {where}{rule['message']}")
    if account["absent_columns"]:
        lines.append(f"  missing in every row of a file: {', '.join(account['absent_columns'])}")
    if errors:
        lines.append(f"errors: {account['errors_at']}")
    if not account["passed"]:
        lines.append(
            f"failed: {errors / rows:.2%} of the rows have errors. Expected at most {account['max_errors']:.2%}"
        )
    return "\n".join(lines)
