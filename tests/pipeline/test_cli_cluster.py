"""`millrace cluster`: what it prints and how it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import cli_cluster
from pipeline.flink import local, state

CLUSTER = state.Cluster(
    "http://127.0.0.1:8081", "127.0.0.1:8099", "127.0.0.1:50000", 2, "1.19.3", "2.77.0", "/x", {"jobmanager": 7}
)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_up_hands_on_its_flags_and_says_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def up(settings: local.Settings, warn: object) -> tuple[state.Cluster, bool]:
        asked.append(settings)
        return CLUSTER, len(asked) == 1

    monkeypatch.setattr(local, "up", up)
    arguments = ["up", "--slots", "4", "--memory", "900", "--jar", "a.jar", "--jar", "b"]
    said = [CliRunner().invoke(cli_cluster.app, arguments) for _ in range(2)]
    assert asked == [local.Settings(4, 900, ("a.jar", "b"))] * 2
    assert [result.exit_code for result in said] == [0, 0]
    assert said[0].stderr.splitlines() == [
        "starting; jars that are not here yet are fetched first, up to 400 MB",
        "started Flink 1.19.3, job server of Beam 2.77.0, 2 slots",
        "page    http://127.0.0.1:8081",
        "logs    /x/logs",
        "next    .venv/bin/python local_runner.py --no-cache --beam-runner flink --beam-node all=cluster",
    ]
    assert "\nruns already: Flink 1.19.3" in said[1].stderr


def test_down_says_what_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [CLUSTER, None]
    monkeypatch.setattr(local, "down", lambda: found.pop(0))
    first, second = (CliRunner().invoke(cli_cluster.app, ["down"]) for _ in range(2))
    assert (first.exit_code, first.stderr) == (0, "stopped\nlogs    /x/logs\n")
    assert (second.exit_code, second.stderr) == (0, "nothing was running\n")


def test_status_of_nothing_and_of_a_dead_one() -> None:
    nothing = CliRunner().invoke(cli_cluster.app, ["status"])
    assert nothing.exit_code == 1 and "does not run. Next: millrace cluster up" in nothing.stdout
    state.write(CLUSTER)
    dead = CliRunner().invoke(cli_cluster.app, ["status", "--json"])
    assert dead.exit_code == 1
    told = json.loads(dead.stdout)
    assert told["running"] is False and told["cluster"]["flink"] == "1.19.3"
    assert told["dead"] == ["jobmanager", "taskmanager", "jobserver", "pool"]
