"""Stands for Java in tests of `millrace cluster`: answers and listens as the three programs would.

What FAKE_JAVA_FAILS names ends at once, with a stack.
"""

import http.server
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """What `java` with these arguments does."""
    if arguments == ["-version"]:
        sys.stderr.write('openjdk version "17.0.1"\n')
        return
    line = " ".join(arguments)
    fails = os.environ.get("FAKE_JAVA_FAILS")
    if fails and fails in line:
        sys.exit("Caused by: java.lang.IllegalStateException: not today\n\tat a.B.c(B.java:1)")
    if "FlinkJobServerDriver" in line:
        found = re.search(r"--job-port=(\d+)", line)
        assert found
        with socket.create_server(("127.0.0.1", int(found[1]))):
            signal.pause()
    elif "StandaloneSessionClusterEntrypoint" in line:
        _answer(Path(arguments[-1]) / "config.yaml")
    else:
        signal.pause()


def _answer(configuration: Path) -> None:
    text = configuration.read_text()
    port, slots = (
        int(found[1])
        for name in ("rest.port", "taskmanager.numberOfTaskSlots")
        if (found := re.search(rf"^{name}: (\d+)", text, re.MULTILINE))
    )

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            told = {"slots-total": slots, "slots-available": slots, "jobs": []}
            self.wfile.write(json.dumps(told).encode())

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
