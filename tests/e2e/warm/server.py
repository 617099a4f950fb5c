"""A Python that has TFX imported already, and forks for each command.

    python server.py SOCKET      ready when it prints "ready"

`python` beside this file asks it to run `python -m MODULE …` in a process of its own, with the environment, the folder and
the open files of who asked. So a test that runs a dozen containers imports TFX once, and not a dozen times.
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

MODULES = ("pipeline.runners.graph", "pipeline.runners.results", "pipeline.report.build", "pipeline.train.run")
_LONGEST = 1 << 22


def serve(path: str) -> None:
    """Forks for each who connects, until it is ended."""
    for name in MODULES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        os.write(1, b"ready\n")
        while True:
            asking, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os._exit(_parent(asking))
            asking.close()


def _parent(asking: socket.socket) -> int:
    """Runs what is asked in a child, and says how it ended; ends it where who asked is gone."""
    data, files, _, _ = socket.recv_fds(asking, _LONGEST, 3)
    while not data.endswith(b"\n"):
        data += asking.recv(_LONGEST)
    asked = json.loads(data)
    child = os.fork()
    if child == 0:
        asking.close()
        _run(asked, files)
    for file in files:
        os.close(file)

    def follow() -> None:
        with contextlib.suppress(OSError):
            while number := asking.recv(1):
                os.killpg(child, number[0])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)

    threading.Thread(target=follow, daemon=True).start()
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return 0


def _run(asked: dict[str, object], files: list[int]) -> None:
    os.setsid()
    for target, file in enumerate(files):
        os.dup2(file, target)
    os.environ.clear()
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    os.chdir(str(asked["folder"]))
    module, *arguments = list(asked["arguments"])  # type: ignore[call-overload]
    sys.argv = [module, *arguments]
    code = 0
    importlib.import_module("pipeline.runners.processes").fork_here()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    serve(sys.argv[1])
