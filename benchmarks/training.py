"""How fast training reads its rows: from disk against the same model, the same steps, from tensors in memory.

    python -m benchmarks.training                          about 5 minutes
    python -m benchmarks.training --stock                  also the template's Trainer, as a node, for 1,000 steps

"memory" trains on batches that lie in memory as tensors: there is nothing to read, parse, shuffle or gather. "disk" is
what a run does: transformed examples in compressed TFRecords, read, parsed, shuffled. The two take turns, A B A B, and the
medians are compared, so that what else the machine does falls on both. "whole" also counts the reading of the files.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.sides import SideError, Training, run_ours, run_stock
from pipeline.gates import Evaluation, Gate
from pipeline.sources import bundled_taxi_trips
from pipeline.task import Task

_BATCHES_IN_MEMORY = 50
_IMAGES = 2000


def main(
    turns: Annotated[int, typer.Option(min=1, help="Of each side.")] = 5,
    stock: Annotated[bool, typer.Option("--stock", help="Also the template's Trainer.")] = False,
) -> None:
    """Prints rows a second of both sides and their ratio."""
    console = Console()
    shown = Table(
        "", "rows/s, memory", "rows/s, disk", "disk / memory", title="Training from disk", title_justify="left"
    )
    with tempfile.TemporaryDirectory(prefix="millrace-training-") as folder:
        work = Path(folder)
        taxi = _taxi(work / "taxi")
        cases = [("taxi wide & deep, batch 200", *taxi(200), 1000), ("taxi wide & deep, batch 2,000", *taxi(2000), 200)]
        cases.append(("CNN, batch 64", *_cnn(work / "cnn"), 60))
        for name, task, data, steps in cases:
            memory, disk = _turns(task, data, steps, turns)
            size = task.training.batch_size * steps
            ratio = median(memory) / median(disk)
            shown.add_row(name, f"{size / median(memory):,.0f}", f"{size / median(disk):,.0f}", f"{ratio:.2f}")
        console.print(shown)
        if stock:
            console.print(_nodes(work, turns))


def _turns(task: Task, data: Any, steps: int, turns: int) -> tuple[list[float], list[float]]:
    """Seconds for the steps, of both sides, after a first turn that compiles."""
    from pipeline.train import batches
    from pipeline.train.team import Share

    rows = batches.source(data.train_files, data.transform, task)

    def from_disk() -> Iterator[Any]:
        return iter(rows.batches(0, 1 << 40, Share()))

    def from_memory() -> Iterator[Any]:
        import tensorflow as tf

        held = list(rows.batches(0, _BATCHES_IN_MEMORY, Share()))
        stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *held)
        return iter(tf.data.Dataset.from_tensor_slices(stacked).repeat())

    run = _steps(task, rows)
    sides = (from_memory(), from_disk())
    found: tuple[list[float], list[float]] = ([], [])
    for side in sides:
        run(side, 20)
    for _ in range(turns):
        for side, seconds in zip(sides, found, strict=True):
            began = time.perf_counter()
            run(side, steps)
            seconds.append(time.perf_counter() - began)
    return found


def _steps(task: Task, rows: Any) -> Callable[[Iterator[Any], int], None]:
    """A function that takes steps, as a training does."""
    import tensorflow as tf

    from pipeline.labels import Scale
    from pipeline.train.loop import scoring_model
    from pipeline.train.optimizers import optimizer
    from pipeline.train.step import Step

    model = scoring_model(task)
    made = optimizer(task.training, task.model.phases, 10_000)
    made.build(model.trainable_variables)
    step = Step(model, made, lambda t, s: task.label.losses(t, s, Scale()), precise=True, jit=False).steps(None)

    def run(side: Iterator[Any], count: int) -> None:
        done = step(side, tf.constant(count)).numpy()[1]
        if done != count:
            raise SideError(f"a step was not finite after {done:.0f}")

    return run


def _taxi(work: Path) -> Callable[[int], tuple[Task, Any]]:
    """The taxi task and its rows, as a run's Transform left them."""
    import tensorflow_transform as tft

    from pipeline.tasks import load
    from pipeline.train.fit import Data

    run_ours("taxi_tips", None, work, Training(steps=2), outcomes=("pushed", "not_blessed"))
    node = work / "root" / "taxi_tips" / "artifacts" / "Transform"
    graph = next((node / "transform_graph").iterdir())
    examples = next((node / "transformed_examples").iterdir())
    data = Data(
        [str(examples / "Split-train" / "*")], [str(examples / "Split-eval" / "*")], tft.TFTransformOutput(str(graph))
    )
    task = load("taxi_tips")
    return lambda size: (replace(task, training=replace(task.training, batch_size=size)), data)


def _cnn(work: Path) -> tuple[Task, Any]:
    """A CNN on 2,000 made images of 32 x 32 in colour, in the form in which Transform stores images."""
    import numpy as np
    import tensorflow as tf

    from pipeline.features import Image
    from pipeline.labels import MultiClass
    from pipeline.models.cnn import Cnn
    from pipeline.tasks import load
    from pipeline.train.fit import Data

    random = np.random.default_rng(0)
    feature, label = Image("image", height=32, width=32), MultiClass("label", classes=10)
    work.mkdir(parents=True)
    file = str(work / "images.gz")
    with tf.io.TFRecordWriter(file, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in range(_IMAGES):
            pixels = random.integers(0, 256, (32, 32, 3), np.uint8).tobytes()
            columns = {
                feature.transformed: tf.train.Feature(bytes_list=tf.train.BytesList(value=[pixels])),
                label.transformed: tf.train.Feature(float_list=tf.train.FloatList(value=[row % 10])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=columns)).SerializeToString())
    spec = {
        feature.transformed: tf.io.FixedLenFeature([1], tf.string),
        label.transformed: tf.io.FixedLenFeature([1], tf.float32),
    }
    base = load("taxi_tips")
    evaluation = Evaluation(metrics=("accuracy",), gates=(Gate("accuracy", at_least=0.0),))
    training = replace(base.training, batch_size=64)
    task = replace(
        base, features=(feature,), label=label, model=Cnn(), training=training, evaluation=evaluation, tuning=None
    )
    return task, Data([file], [file], Spec(spec))


@dataclass(frozen=True)
class Spec:
    """As much of Transform's output as reading needs.

    Attributes:
        columns: transformed name -> how it is parsed.
    """

    columns: dict[str, Any]

    def transformed_feature_spec(self) -> dict[str, Any]:
        """See tft.TFTransformOutput."""
        return self.columns


def _nodes(work: Path, turns: int) -> Table:
    """The whole Trainer nodes, ours and the template's, for the same 1,000 steps of 200 rows."""
    given = Training(steps=1000, batch_size=200, seed=1)
    ours, theirs = [], []
    for turn in range(turns):
        ours.append(run_ours("taxi_tips", None, work / f"ours-{turn}", given, outcomes=("pushed", "not_blessed")))
        data = Path(bundled_taxi_trips())
        theirs.append(run_stock(data, work / f"stock-{turn}", given, slices=False))
    own, template = (median(run.nodes["Trainer"] for run in side) for side in (ours, theirs))
    shown = Table(
        "", "template", "ours", "template / ours", title="Trainer, 1,000 steps of 200 rows", title_justify="left"
    )
    shown.add_row("seconds", f"{template:.1f}", f"{own:.1f}", f"{template / own:.2f}")
    return shown


if __name__ == "__main__":
    typer.run(main)
