"""What dies is started again, until it is stopped."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from pipeline.flink.keeper import Keeper


def test_it_starts_again_and_gives_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); raise SystemExit(3)"]
    assert Keeper(command, pause=0).keep() == 3
    assert (tmp_path / "runs").read_text() == "x" * 5


def test_stop_ends_it_for_good(tmp_path: Path) -> None:
    keeper = Keeper([sys.executable, "-c", f"open({str(tmp_path / 'up')!r}, 'w'); input()"], pause=0)
    thread = threading.Thread(target=keeper.keep)
    thread.start()
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    keeper.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_sigterm_ends_both(tmp_path: Path) -> None:
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-m", "pipeline.flink.keeper", sys.executable, "-c", code])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    process.terminate()
    assert process.wait(20) == 0
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
