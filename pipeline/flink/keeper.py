"""Keeps the TaskManager running: a standalone Flink does not start another where one has died.

python -m pipeline.flink.keeper COMMAND…
"""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
_SHORT_SECONDS = 10.0
_SHORT_LIVES = 5


def keep(command: Sequence[str], pause: float = _PAUSE_SECONDS) -> int:
    """Runs a command again whenever it ends; SIGTERM ends both.

    Args:
      command: what to run.
      pause: between two, in seconds.

    Returns:
      The command's last code, when it had ended at once some times in a row.
    """
    short = 0
    while True:
        began = time.monotonic()
        process = subprocess.Popen(command)  # noqa: S603
        previous = signal.signal(signal.SIGTERM, _ender(process))
        _LOG.warning("started %d", process.pid)
        code = process.wait()
        signal.signal(signal.SIGTERM, previous)
        short = short + 1 if time.monotonic() - began < _SHORT_SECONDS else 0
        _LOG.warning("%d ended with code %d", process.pid, code)
        if short == _SHORT_LIVES:
            _LOG.error("it does not stay: given up")
            return code
        time.sleep(pause)


def _ender(process: subprocess.Popen[bytes]):  # type: ignore[no-untyped-def]
    def end(number: int, frame: FrameType | None) -> None:
        process.kill()
        process.wait()
        sys.exit(0)

    return end


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s keeper: %(message)s")
    sys.exit(keep(sys.argv[1:]))
