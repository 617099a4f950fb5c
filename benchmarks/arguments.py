"""Options that the benchmark commands share."""

from typing import Annotated

import typer

Steps = Annotated[int, typer.Option(min=1, help="Training steps.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Rows in a training step. The template's own is 40.")]
Seed = Annotated[int, typer.Option(help="Of the training and of resampled rows.")]
Slices = Annotated[bool, typer.Option(help="Whether the template's Evaluator slices by trip_start_hour.")]
