"""What the embedded server answers a second, next to the same model in process, and what it survives.

    python -m benchmarks.serving                      requests a second, latency, ratio to the limit; some minutes
    python -m benchmarks.serving --reload             20 versions pushed under load: no request may fail
    python -m benchmarks.serving --soak 10            minutes of good and broken requests: memory must stay flat

The model is 30 -> 128 -> 64 -> 1, one row a request, and the clients run on the same cores in processes of their own.
Limit and server are measured in turns, round by round, and the ratio is that of the medians: other work on the machine
meets both. `--soak` and `--reload` exit with 1 where they find a fault, the first one where a target is missed.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine

TARGETS = {"rest": 0.55, "grpc": 0.35}
"""Front -> the share of the limit that it has to reach with 8 connections and dense rows."""
P99_MS = 8.0
_RELOADS, _RELOAD_REQUESTS = 20, 50_000
_FLAT_MB = 30.0
_SIGNATURES = ("serving_default", "examples")
_CONNECTIONS = (8, 64)


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        process: it.
        ports: of each front: rest, grpc.
    """

    process: psutil.Popen
    ports: dict[str, int]

    @property
    def resident_mb(self) -> float:
        """Its memory, MiB."""
        return float(self.process.memory_info().rss) / (1 << 20)


@contextlib.contextmanager
def serve(base: Path, work: Path, *flags: str) -> Iterator[Server]:
    """Starts a server on a folder of versions, waits until it answers, and ends it."""
    ready = work / "ready.json"
    command = [sys.executable, "-m", "serving", "--model-name", "mlp", "--model-base-path", str(base)]
    command += ["--rest-port", "0", "--grpc-port", "0", "--ready-file", str(ready), *flags]
    with (work / "server.log").open("w") as log:
        process = psutil.Popen(command, stderr=log)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise RuntimeError((work / "server.log").read_text()[-2000:])
                time.sleep(0.05)
            told = json.loads(ready.read_text())
            yield Server(process, {front: told[f"{front}_port"] for front in TARGETS})
        finally:
            process.terminate()
            if process.wait(60) != 0:
                raise RuntimeError(f"the server ended with {process.returncode}")


def child(module: str, *arguments: object) -> dict[str, Any]:
    """Runs a module of the benchmarks, and reads the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)], stdout=subprocess.PIPE, check=True
    )
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def make(base: Path, versions: Sequence[int]) -> None:
    """Writes versions of the model."""
    subprocess.run([sys.executable, "-m", "benchmarks.serving_models", str(base), *map(str, versions)], check=True)


def throughput(work: Path, rounds: int, seconds: float, console: Console) -> tuple[dict[str, Any], bool]:
    """Measures limit and fronts in turns; returns the figures, and whether all targets are reached."""
    base = work / "mlp"
    make(base, [1])
    rows: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    with serve(base, work) as server:
        for number in range(rounds):
            for signature in _SIGNATURES:
                limit = child("serving_limit", base / "1", "--signature", signature, "--seconds", seconds)
                rows.setdefault(("limit", 8, signature), []).append(limit)
                for front in TARGETS:
                    for connections in _CONNECTIONS:
                        flags = ("--signature", signature, "--connections", connections, "--seconds", seconds)
                        seen = child("serving_client", front, server.ports[front], *flags)
                        rows.setdefault((front, connections, signature), []).append(seen)
            console.print(f"round {number + 1} of {rounds}")
    figures, fine = {}, True
    table = Table("", "connections", "signature", "requests/s", "p50 ms", "p99 ms", "of the limit", "failed")
    for (front, connections, signature), seen in rows.items():
        rate = {key: median(s["requests"] / s["seconds"] for s in rows[key]) for key in rows}
        ratio = rate[front, connections, signature] / rate["limit", 8, signature]
        p50, p99 = (median(s[key] for s in seen) for key in ("p50_ms", "p99_ms"))
        failed = sum(s.get("failed", 0) for s in seen)
        name = f"{front} {connections} {signature}"
        figures[name] = {"rate": rate[front, connections, signature], "ratio": ratio, "p50": p50, "p99": p99}
        shown = (f"{rate[front, connections, signature]:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{ratio:.2f}")
        table.add_row(front, str(connections), signature, *shown, str(failed))
        fine &= not failed
        if front in TARGETS and connections == 8 and signature == "serving_default":
            fine &= ratio >= TARGETS[front] and p99 < P99_MS
    console.print(table)
    console.print(f"targets: {TARGETS} of the limit and p99 < {P99_MS} ms with 8 connections, dense rows")
    return figures, fine


class Client:
    """A client that asks until it is told to stop."""

    def __init__(self, front: str, port: int) -> None:
        """Starts it, with 8 connections."""
        command = [sys.executable, "-m", "benchmarks.serving_client", front, str(port), "--seconds", "0"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self) -> dict[str, Any]:
        """What it saw."""
        out, _ = self._process.communicate("stop\n", timeout=60)
        seen: dict[str, Any] = json.loads(out.splitlines()[-1])
        return seen


def reload(work: Path, console: Console) -> tuple[dict[str, Any], bool]:
    """Pushes versions while both fronts are under load."""
    base, stock = work / "mlp", work / "stock"
    make(stock, range(1, _RELOADS + 2))
    base.mkdir()
    (stock / "1").rename(base / "1")
    with serve(base, work, "--poll-seconds", "0.2") as server:
        clients = {front: Client(front, port) for front, port in server.ports.items()}
        started = time.monotonic()
        served = 0.0
        while served < _RELOADS or time.monotonic() - started < 60:
            if served < _RELOADS:
                served += 1
                (stock / str(int(served) + 1)).rename(base / str(int(served) + 1))
            time.sleep(2.0)
        seen = {front: client.stop() for front, client in clients.items()}
    requests = sum(one["requests"] for one in seen.values())
    failed = sum(one["failed"] for one in seen.values())
    for front, one in seen.items():
        console.print(
            f"{front}: {one['requests']:,} requests, {one['failed']} failed {one['reason']}, "
            f"p99 {one['p99_ms']:.1f} ms, versions {one['versions']}"
        )
    console.print(f"{requests:,} requests, {failed} failed; target: 0 of at least {_RELOAD_REQUESTS:,}")
    in_order = all(one["versions"] == sorted(one["versions"]) for one in seen.values())
    return seen, not failed and requests >= _RELOAD_REQUESTS and in_order


def soak(work: Path, minutes: float, console: Console) -> tuple[dict[str, Any], bool]:
    """Good and broken requests side by side; memory is compared from the first quarter on."""
    base = work / "mlp"
    make(base, [1])
    sizes: list[float] = []
    with serve(base, work, "--request-log", str(work / "log"), "--request-log-rate", "0.1") as server:
        clients = {front: Client(front, port) for front, port in server.ports.items()}
        broken = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving_broken", str(server.ports["rest"]), str(server.ports["grpc"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ends = time.monotonic() + 60 * minutes
        while time.monotonic() < ends:
            sizes.append(server.resident_mb)
            time.sleep(1.0)
        out, _ = broken.communicate("stop\n", timeout=120)
        seen = {front: client.stop() for front, client in clients.items()}
    early, late = median(sizes[len(sizes) // 4 : len(sizes) // 2]), median(sizes[-len(sizes) // 4 :])
    bad = json.loads(out.splitlines()[-1])
    console.print(f"good: { {front: (one['requests'], one['failed'], one['reason']) for front, one in seen.items()} }")
    console.print(f"broken: {bad}")
    console.print(
        f"resident: {sizes[0]:.0f} MiB at first, {early:.0f} in the second quarter, {late:.0f} in the last one, "
        f"{max(sizes):.0f} at most"
    )
    fine = not any(one["failed"] for one in seen.values()) and not bad["unexpected"] and late - early < _FLAT_MB
    return {"good": seen, "broken": bad, "resident_mb": sizes}, fine


def main(
    reload_: Annotated[bool, typer.Option("--reload", help="Push versions under load.")] = False,
    soak_: Annotated[float, typer.Option("--soak", metavar="MINUTES", help="Good and broken load.")] = 0.0,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each measurement.")] = 4.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Save the figures and the machine here.")] = None,
) -> None:
    """Measures; exits with 1 where a target is missed."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="millrace-serving-") as folder:
        work = Path(folder)
        if reload_:
            figures, fine = reload(work, console)
        elif soak_:
            figures, fine = soak(work, soak_, console)
        else:
            figures, fine = throughput(work, rounds, seconds, console)
    if json_file:
        json_file.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=2) + "\n")
    if not fine:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
