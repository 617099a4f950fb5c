"""The flags that say where Beam jobs run, for all commands that have them; pipeline/beam/settings.py reads them."""

from typing import Annotated

import typer

from pipeline.beam.engines import ENGINES

BeamRunner = Annotated[
    str | None, typer.Option(help=f"Where Beam jobs run: {', '.join(ENGINES)}; default local.", show_default=False)
]
BeamOptions = Annotated[
    list[str] | None, typer.Option("--beam", metavar="KEY=VALUE", help="Beam option KEY=VALUE (repeatable).")
]
BeamNodes = Annotated[
    list[str] | None,
    typer.Option(
        "--beam-node",
        metavar="NODE=…",
        help="NODE=local or NODE=cluster, or an option NODE.KEY=VALUE; NODE may be all (repeatable).",
    ),
]
BeamProfile = Annotated[
    str | None, typer.Option(metavar="FILE", help="YAML: runner, options, nodes, local_below; flags win over it.")
]
