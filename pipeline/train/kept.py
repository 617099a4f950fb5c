"""What a training keeps on a root that is in a bucket: its checkpoints, how far it is, its logs.

    <root>/<task>/training/step-000000400/…    the newest checkpoints
    <root>/<task>/training/progress.json
    <root>/<task>/logs/<run>/events…           for TensorBoard; they stay

The training itself reads and writes a folder of its machine. One that was killed is taken up by any other machine, whose
folder is filled from the root before it begins.
"""

import contextlib
import posixpath
from collections.abc import Iterator
from pathlib import Path

from pipeline.remote import following, transfer

_LOGS = "logs"


@contextlib.contextmanager
def on_root(place: str | None, folder: Path | None, log_dir: str, run_id: str) -> Iterator[None]:
    """Has the root follow as long as the context lasts.

    Args:
      place: where the training keeps its checkpoints, by the root's own name; None: it keeps nothing.
      folder: the same on this machine; nothing is done where this is the place itself.
      log_dir: of TensorBoard's logs.
      run_id: of the run.
    """
    if place is None or folder is None or place == str(folder):
        yield
        return
    logs = transfer.join(posixpath.dirname(place), _LOGS, run_id or Path(log_dir).name)
    with following.uploads(folder, place), following.uploads(Path(log_dir), logs):
        yield
