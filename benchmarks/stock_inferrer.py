"""TFX's BulkInferrer on tf.Examples, in this process: for `benchmarks.predict`.

    python -m benchmarks.stock_inferrer --examples FOLDER --model VERSION --out FOLDER

`--examples` is an Examples artifact's folder, with `Split-all` in it. Its executor is called as a node's launcher calls it,
with the options that our own Beam nodes have.
"""

import json
from pathlib import Path
from typing import Annotated

import typer


def main(
    examples: Annotated[Path, typer.Option(help="Folder with Split-all.", exists=True)],
    model: Annotated[Path, typer.Option(help="A SavedModel.", exists=True)],
    out: Annotated[Path, typer.Option(help="Where PredictionLogs go.")],
) -> None:
    """Answers every example with serving_default."""
    from tfx.components.bulk_inferrer.executor import Executor
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts

    from pipeline.beam.arguments import arguments
    from pipeline.config import RunConfig

    rows, given, result = (
        standard_artifacts.Examples(),
        standard_artifacts.Model(),
        standard_artifacts.InferenceResult(),
    )
    rows.uri, rows.split_names = str(examples), json.dumps(["all"])
    rows.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
    folder = out / "model"
    folder.mkdir(parents=True)
    (folder / "Format-Serving").symlink_to(model.absolute())
    given.uri, result.uri = str(folder), str(out / "result")
    Executor(BaseBeamExecutor.Context(beam_pipeline_args=arguments(RunConfig("taxi_tips"), "BulkInferrer"))).Do(
        {"examples": [rows], "model": [given]},
        {"inference_result": [result]},
        {"data_spec": "{}", "model_spec": "{}", "output_example_spec": None},
    )


if __name__ == "__main__":
    typer.run(main)
