"""Keeps the TaskManager running: a standalone Flink does not start another where one has died.

python -m pipeline.flink.keeper COMMAND…
"""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

_LOG = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
_SHORT_SECONDS = 10.0
_SHORT_LIVES = 5


class Keeper:
    """Runs a command again whenever it ends."""

    def __init__(self, command: Sequence[str], pause: float = _PAUSE_SECONDS) -> None:
        """Runs nothing yet.

        Args:
          command: what to run.
          pause: between two, in seconds.
        """
        self._command, self._pause = command, pause
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def stop(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Ends the command for good; may be called by a signal."""
        self._stopped.set()
        if self._process:
            self._process.kill()

    def keep(self) -> int:
        """Runs it until `stop`.

        Returns:
          0; or the command's last code, where it had ended soon after its start some times in a row.
        """
        short = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            self._process = subprocess.Popen(self._command)  # noqa: S603
            if self._stopped.is_set():
                self._process.kill()
            _LOG.warning("started %d", self._process.pid)
            code = self._process.wait()
            _LOG.warning("%d ended with code %d", self._process.pid, code)
            short = short + 1 if time.monotonic() - began < _SHORT_SECONDS else 0
            if short == _SHORT_LIVES and not self._stopped.is_set():
                _LOG.error("given up: it ended %d times within %.0f s of its start", short, _SHORT_SECONDS)
                return code or 1
            self._stopped.wait(self._pause)
        return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s keeper: %(message)s")
    keeper = Keeper(sys.argv[1:])
    signal.signal(signal.SIGTERM, keeper.stop)
    sys.exit(keeper.keep())
