"""The command line of `kubeflow_runner.py`.

python kubeflow_runner.py compile --task taxi_tips --target kfp --root s3://bucket/runs --image registry/millrace:1
python kubeflow_runner.py execute taxi_tips.yaml --profile kfp --root trial/
python kubeflow_runner.py submit taxi_tips.yaml --host https://kubeflow.example --wait
python kubeflow_runner.py schedule create taxi_tips.yaml --host https://kubeflow.example --cron '0 3 * * *'
"""

import typer

from pipeline.cli import guarded
from pipeline.cli_kubeflow import compile as compiling
from pipeline.cli_kubeflow import execute, manifest, schedule, submit

app = typer.Typer(
    name="kubeflow_runner.py",
    help="A task's pipeline on Kubeflow Pipelines and Vertex AI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="compile")(compiling.compile_)
app.command()(execute.execute)
app.command()(submit.submit)
app.command()(submit.wait)
app.command()(submit.cancel)
app.command()(submit.runs)
app.add_typer(schedule.app)
app.command()(manifest.manifest)


def main() -> int:
    """Entry; returns the exit code."""
    return guarded(app)
