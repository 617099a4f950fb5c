"""The `run_fn` of every task: trains, exports, and proves the export."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline import mirrored, probes
from pipeline.errors import DataBlocked
from pipeline.export import Trained, export, verify
from pipeline.train import account, checkpoints, kept, progress, tuned, warm_start, weights
from pipeline.train.fit import Data, fit
from pipeline.train.rows import label_scale, records, targets
from pipeline.transform_graph import TransformGraph

_PROOF_ROWS = 64


def run_fn(fn_args: FnArgs) -> None:
    """TFX Trainer calls this.

    Args:
      fn_args: paths of examples and transform graph; `custom_config` has the task's name, its overrides and the files
        of raw rows, and may have the folder of `checkpoints`.

    Raises:
      DataBlocked: no row to train or to evaluate on.
      MillraceError: the loss is not a number.
      ExportError: the export does not answer as the trained model.
    """
    config = fn_args.custom_config
    place = config.get("checkpoints")
    folder = mirrored.local(place) if place else None
    with kept.on_root(place, folder, fn_args.model_run_dir, config.get("run_id", "")):
        _run(fn_args, folder)


def _run(fn_args: FnArgs, folder: Path | None) -> None:
    """`run_fn`, with what it keeps in a folder of this machine."""
    config = fn_args.custom_config
    task = tuned.of_run(fn_args)
    transform = tft.TFTransformOutput(fn_args.transform_output)
    start = None
    if task.training.warm_start:
        scale = label_scale(targets(fn_args.train_files, transform, task))
        start = warm_start.of_run(fn_args, task, scale)
    if folder:
        progress.clear(folder)
    data = Data(fn_args.train_files, fn_args.eval_files, transform)
    fitted = fit(task, data, log_dir=fn_args.model_run_dir, checkpoints=folder, start=start)
    model, scale = fitted.model, fitted.scale
    account.save(fn_args.model_run_dir, model, fitted.history, fitted.best_step)
    trained = Trained(model, scale, TransformGraph(transform), task.features, task.label)
    export(trained, fn_args.serving_model_dir)
    stored = weights.describe(task, model, scale, transform, config.get("run_id", ""))
    weights.save(stored, weights.beside(fn_args.serving_model_dir))
    warm_start.report_run(fn_args, task, start, model)
    asked = probes.make(_some_rows(config["raw_examples"]), trained.serving_spec, task.features)
    answers = verify(fn_args.serving_model_dir, [probe.example for probe in asked], trained)
    probes.save(fn_args.model_run_dir, asked, answers)
    if folder:
        checkpoints.remove(folder)
        progress.clear(folder)


def _some_rows(files: Sequence[str]) -> list[bytes]:
    examples = list(records(files).take(_PROOF_ROWS).as_numpy_iterator())
    if not examples:
        raise DataBlocked("The eval split has no row. Next: check the split of the task and the size of the data.")
    return examples
