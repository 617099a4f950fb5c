"""`millrace tensorboard`: the logs of a task's trainings in the browser, a run each.

    millrace tensorboard --task taxi_tips
    millrace tensorboard --task digits --port 6007

Shows what each Trainer wrote, a training at work included: scalars, histograms, graph, hyperparameters. Only this machine
can reach it. A run that took its model from the cache has no logs of its own.
"""

import json
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline.config import RunConfig
from pipeline.errors import UsageError, nearest
from pipeline.runners import remote_root
from pipeline.terminal import console

_HOST = "127.0.0.1"
_LOOK_EVERY = 2.0


def tensorboard(
    task: Annotated[str, typer.Option(help="Of this task.")] = "taxi_tips",
    root: Annotated[str, typer.Option(help="Folder of all runs.")] = "runs",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 6006,
) -> None:
    """Opens the training logs of all runs of a task, until Ctrl-C."""
    root = remote_root.brought(root, task, "runs", "trainings")
    config = RunConfig(task=task, root=root)
    if not trainings(config):
        known = sorted(folder.parent.parent.parent.name for folder in Path(root).glob("*/artifacts/Trainer/model_run"))
        raise UsageError(f"tensorboard: {task!r} has no training logs in {root}.{nearest(task, known)}")
    _check_port(port)
    from tensorboard import default, program

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="millrace-tensorboard-") as folder:
        _link(config, Path(folder))
        server = program.TensorBoard(plugins=default.get_plugins())
        # The fast loader is a program of its own that does not follow links.
        at = {"logdir": folder, "host": _HOST, "port": port or _free_port()}
        server.configure(("tensorboard",), **at, load_fast="false", reload_interval=5)
        url = server.launch()
        console().print(f"TensorBoard of {task}: {url} (Ctrl-C ends it)", markup=False)
        try:
            while True:
                time.sleep(_LOOK_EVERY)
                _link(config, Path(folder))
        except KeyboardInterrupt:
            console().print("ended", markup=False)


def trainings(config: RunConfig) -> dict[str, Path]:
    """Name -> folder of each training's logs: the id of its run, or `training-<number>` where no record names it."""
    folders = {path.name: path for path in (config.artifacts / "Trainer" / "model_run").glob("*") if path.is_dir()}
    found = {}
    for record in sorted(config.home.glob("runs/*/run.json")):
        uri = _of_run(record)
        if uri and Path(uri).name in folders:
            found[record.parent.name] = folders.pop(Path(uri).name)
    return found | {f"training-{number}": path for number, path in sorted(folders.items())}


def _of_run(record: Path) -> str | None:
    try:
        artifacts = json.loads(record.read_text(encoding="utf-8"))["artifacts"]
        return str(artifacts["model_run"]) if "model_run" in artifacts else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _link(config: RunConfig, folder: Path) -> None:
    """A link in the folder for each training, under its present name."""
    wanted = trainings(config)
    for link in folder.iterdir():
        if link.name not in wanted:
            link.unlink()
    for name, target in wanted.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target.absolute())


def _free_port() -> int:
    """TensorBoard's own port 0 is another port than the one that it prints."""
    with socket.socket() as free:
        free.bind((_HOST, 0))
        return int(free.getsockname()[1])


def _check_port(port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((_HOST, port))
        except OSError as error:
            raise UsageError(
                f"tensorboard: port {port} can't be had: {error.strerror}. Next: --port {port + 1 if port < 65535 else 0}"
            ) from error
