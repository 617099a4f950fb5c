"""Scheduling of the graph, with jobs that are fakes: order, width, what a failure and a closed gate do to the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import RunConfig
from pipeline.errors import DataBlocked, ExitCode, MillraceError
from pipeline.runners import account, local, processes
from pipeline.runners.nodes import Graph, Node, NodeState
from pipeline.runners.processes import Result

DIAMOND = (
    Node("Gen", (), False),
    Node("Left", ("Gen",), False),
    Node("Right", ("Gen",), False),
    Node("Middle", ("Gen",), False),
    Node("End", ("Left", "Right"), False),
)


class Watcher:
    """Remembers what it was shown."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.shown: list[dict[str, str]] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def nodes(self, states: list[NodeState]) -> None:
        self.shown.append({state.id: state.state for state in states})


class Machine:
    """Stands in for the processes: jobs end one at a time, in the order that the test gives or that they started."""

    def __init__(self, graph: tuple[Node, ...], results: dict[str, Result], last: tuple[str, ...]) -> None:
        self.graph = graph
        self.results = results
        self.last = last
        self.events: list[str] = []
        self.widest = 0
        self.running: list[FakeJob] = []

    def call(self, function: Callable[..., Any], *args: Any, log: Path) -> Any:
        return Graph(b"ir", self.graph) if function is local._compile else {"collected": True}

    def first_ended(self, jobs: list["FakeJob"], timeout: float | None) -> list["FakeJob"]:
        self.widest = max(self.widest, len(jobs))
        return sorted(jobs, key=lambda job: (job.node in self.last, jobs.index(job)))[:1]


class FakeJob:
    """A job that does nothing."""

    machine: Machine

    def __init__(
        self, function: Callable[..., Any], ir: bytes, node: str, config: RunConfig, run_id: str, log: Path
    ) -> None:
        assert (function, ir, run_id, log.name) == (local._launch, b"ir", "20260101T000000", f"{node}.log")
        self.node = node
        self.machine.events.append(f"start {node}")

    def result(self) -> Result:
        self.machine.events.append(f"end {self.node}")
        return self.machine.results.get(self.node, Result("done", None, ExitCode.PUSHED, 100))

    def stop(self) -> None:
        self.machine.events.append(f"stop {self.node}")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    def make(
        graph: tuple[Node, ...] = DIAMOND,
        results: dict[str, Result] | None = None,
        width: int = 2,
        last: tuple[str, ...] = (),
    ) -> Machine:
        made = Machine(graph, results or {}, last)
        monkeypatch.setattr(FakeJob, "machine", made, raising=False)
        monkeypatch.setattr(processes, "Job", FakeJob)
        monkeypatch.setattr(processes, "call", made.call)
        monkeypatch.setattr(processes, "first_ended", made.first_ended)
        monkeypatch.setattr(local, "_width", lambda: width)
        return made

    return make


@pytest.fixture
def execution(tmp_path: Path) -> local.GraphRun:
    return local.GraphRun(RunConfig("tips", root=str(tmp_path)), tmp_path / "20260101T000000", Watcher())


def states(execution: local.GraphRun) -> dict[str, str]:
    return {state.id: state.state for state in execution.states}


def failed(message: str, code: ExitCode = ExitCode.FAILED) -> Result:
    return Result(None, message, code, 50)


def test_every_node_runs_after_all_that_it_waits_for(machine: Any, execution: local.GraphRun) -> None:
    fakes = machine()
    execution.run()
    assert execution.results() == {"collected": True}
    assert set(states(execution).values()) == {"done"}
    for node in DIAMOND:
        for before in node.upstream:
            assert fakes.events.index(f"end {before}") < fakes.events.index(f"start {node.id}")
    assert [state.id for state in execution.states] == [node.id for node in DIAMOND]
    assert {state.peak_mb for state in execution.states} == {100}


@pytest.mark.parametrize("width", [1, 2, 3])
def test_no_more_nodes_at_once_than_the_width(machine: Any, execution: local.GraphRun, width: int) -> None:
    fakes = machine(width=width)
    execution.run()
    assert fakes.widest == width


def test_cached_counts_as_ready_and_skipped_is_not_started(machine: Any, execution: local.GraphRun) -> None:
    graph = (Node("Gen", (), True), Node("Left", ("Gen",), False), Node("End", ("Left",), False))
    fakes = machine(graph, {"Left": Result("cached", None, ExitCode.PUSHED, 1)})
    execution.run()
    assert states(execution) == {"Gen": "skipped", "Left": "cached", "End": "done"}
    assert fakes.events == ["start Left", "end Left", "start End", "end End"]


def test_an_upstream_node_outside_the_graph_is_not_waited_for(machine: Any, execution: local.GraphRun) -> None:
    machine((Node("Left", ("Gone",), False),))
    execution.run()
    assert states(execution) == {"Left": "done"}


def test_behind_a_failure_nothing_runs_and_beside_it_all_else(machine: Any, execution: local.GraphRun) -> None:
    fakes = machine(results={"Left": failed("ValueError: boom")})
    with pytest.raises(MillraceError, match=r"^Left failed: ValueError: boom\nIts log: .*/logs/Left\.log$") as caught:
        execution.run()
    assert caught.value.exit_code == ExitCode.FAILED
    assert states(execution) == {"Gen": "done", "Left": "failed", "Right": "done", "Middle": "done", "End": "not_run"}
    assert "start End" not in fakes.events


def test_not_run_goes_down_the_whole_chain(machine: Any, execution: local.GraphRun) -> None:
    graph = (Node("a", (), False), Node("b", ("a",), False), Node("c", ("b",), False), Node("d", ("c",), False))
    machine(graph, {"a": failed("boom")})
    with pytest.raises(MillraceError):
        execution.run()
    assert states(execution) == {"a": "failed", "b": "not_run", "c": "not_run", "d": "not_run"}


def test_a_closed_gate_stops_what_runs_beside_it(machine: Any, execution: local.GraphRun) -> None:
    fakes = machine(results={"Left": failed("fare: out of range", ExitCode.DATA_BLOCKED)}, last=("Right",))
    with pytest.raises(DataBlocked, match=r"^fare: out of range$"):
        execution.run()
    found = states(execution)
    assert found == {"Gen": "done", "Left": "blocked", "Right": "stopped", "Middle": "not_run", "End": "not_run"}
    assert "stop Right" in fakes.events
    assert "start Middle" not in fakes.events


def test_a_node_that_ends_together_with_the_closed_gate_counts(
    machine: Any, execution: local.GraphRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(results={"Left": failed("bad data", ExitCode.DATA_BLOCKED)})
    monkeypatch.setattr(processes, "first_ended", lambda jobs, timeout: list(jobs))
    with pytest.raises(DataBlocked, match=r"^bad data$"):
        execution.run()
    assert states(execution) == {
        "Gen": "done",
        "Left": "blocked",
        "Right": "done",
        "Middle": "not_run",
        "End": "not_run",
    }


def test_a_closed_gate_is_named_before_a_failure(machine: Any, execution: local.GraphRun) -> None:
    machine(results={"Left": failed("boom"), "Right": failed("bad data", ExitCode.DATA_BLOCKED)}, width=3)
    with pytest.raises(DataBlocked, match=r"^bad data$"):
        execution.run()


def test_an_interruption_stops_every_job(
    machine: Any, execution: local.GraphRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes = machine()

    def interrupted(jobs: list[FakeJob], timeout: float | None) -> list[FakeJob]:
        if len(jobs) == 2:
            raise KeyboardInterrupt
        return jobs

    monkeypatch.setattr(processes, "first_ended", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execution.run()
    assert [event for event in fakes.events if event.startswith("stop")] == ["stop Left", "stop Right"]
    assert states(execution) == {
        "Gen": "done",
        "Left": "stopped",
        "Right": "stopped",
        "Middle": "waiting",
        "End": "waiting",
    }


def test_the_watcher_sees_phases_and_the_last_state(machine: Any, tmp_path: Path) -> None:
    machine()
    watcher = Watcher()
    execution = local.GraphRun(RunConfig("tips", root=str(tmp_path)), tmp_path / "20260101T000000", watcher)
    execution.run()
    execution.results()
    assert watcher.phases == ["starting TFX", "reading the results"]
    assert set(watcher.shown[-1].values()) == {"done"}


NOTHING_FOUND: dict[str, Any] = {
    "blessed": None, "pushed": None, "gates": [], "serving": None, "refused": None, "withheld": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "config", "expected"),
    [
        (
            {"blessed": True, "pushed": {"version": "1"}},
            RunConfig("tips"),
            (ExitCode.PUSHED, "pushed", None),
        ),
        (
            {
                "blessed": True,
                "serving": {
                    "checks": [
                        {"name": "serving load", "passed": True, "reason": "ready"},
                        {"name": "serving latency", "passed": False, "reason": "too slow"},
                    ]
                },
            },
            RunConfig("tips"),
            (ExitCode.SERVING_BLOCKED, "serving_blocked", "serving latency: too slow"),
        ),
        (
            {"blessed": True, "refused": "serving signature: not as in version 1"},
            RunConfig("tips"),
            (ExitCode.SERVING_BLOCKED, "serving_blocked", "serving signature: not as in version 1"),
        ),
        (
            {"blessed": True, "withheld": "version 1 of this model was withdrawn"},
            RunConfig("tips"),
            (ExitCode.NOT_BLESSED, "not_blessed", "version 1 of this model was withdrawn"),
        ),
        (
            {
                "blessed": False,
                "gates": [{"passed": False, "reason": "auc low"}, {"passed": True, "reason": "mae 1"}],
            },
            RunConfig("tips"),
            (ExitCode.NOT_BLESSED, "not_blessed", "auc low"),
        ),
        (
            {"blessed": False},
            RunConfig("tips"),
            (ExitCode.NOT_BLESSED, "not_blessed", "TFMA did not bless the model"),
        ),
    ],
)
def test_judgement(found: dict[str, Any], config: RunConfig, expected: tuple[ExitCode, str, str | None]) -> None:
    assert account.judged(config, {**NOTHING_FOUND, **found}) == expected


def test_judgement_of_a_part() -> None:
    found = {**NOTHING_FOUND}
    code, outcome, reason = account.judged(RunConfig("tips", to_nodes=("Trainer",)), found)
    assert (code, outcome) == (ExitCode.PUSHED, "partial")
    assert "--to Trainer" in str(reason)
    with pytest.raises(MillraceError, match="no model was pushed"):
        account.judged(RunConfig("tips"), found)


def test_what_has_the_longest_way_to_the_end_comes_first(machine: Any, execution: local.GraphRun) -> None:
    graph = (
        Node("Gen", (), False),
        Node("Side", ("Gen",), False),
        Node("Other", ("Gen",), False),
        Node("Long", ("Gen",), False),
        Node("Longer", ("Long",), False),
        Node("End", ("Side", "Longer"), False),
    )
    fakes = machine(graph, width=1)
    execution.run()
    started = [event.removeprefix("start ") for event in fakes.events if event.startswith("start ")]
    assert started == ["Gen", "Long", "Side", "Longer", "Other", "End"]


def test_the_report_s_process_is_begun_beside_the_compiler(machine: Any, execution: local.GraphRun) -> None:
    fakes = machine()
    execution.run(lambda: fakes.events.append("begun"))
    assert fakes.events[:2] == ["begun", "start Gen"]
    assert fakes.events.count("begun") == 1


def test_the_width_is_one_or_two() -> None:
    assert local._width() in (1, 2)
