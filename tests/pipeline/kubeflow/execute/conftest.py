"""Hand-made specs of tiny Python commands, and a way to run them."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.kubeflow.execute import documents, engine
from pipeline.kubeflow.execute.profiles import PROFILES
from pipeline.kubeflow.execute.results import Result
from pipeline.kubeflow.execute.settings import Settings
from pipeline.runners.nodes import NodeState


class Specs:
    """Makes specs: each task is a component of its own, with a `python -c` command."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}

    def task(
        self,
        name: str,
        code: str = "",
        *args: str,
        inputs: Mapping[str, Any] | None = None,
        given: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        executor: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """A task; `inputs` and `outputs` define its component, `given` says where its inputs come from."""
        component: dict[str, Any] = {"executorLabel": f"exec-{name}"}
        component |= {"inputDefinitions": inputs} if inputs else {}
        component |= {"outputDefinitions": outputs} if outputs else {}
        self.components[f"comp-{name}"] = component
        command = {"container": {"image": "none", "command": ["python", "-c", code], "args": list(args)}}
        self.executors[f"exec-{name}"] = executor or command
        made: dict[str, Any] = {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"}, **more}
        return made | ({"inputs": given} if given else {})

    def graph(self, name: str, tasks: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """A task that is a graph."""
        definitions = {key: more.pop(key) for key in ("inputDefinitions", "outputDefinitions") if key in more}
        outputs = {"outputs": more.pop("dagOutputs")} if "dagOutputs" in more else {}
        self.components[f"comp-{name}"] = {"dag": {"tasks": dict(tasks), **outputs}, **definitions}
        return {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"}, **more}

    def pipeline(self, tasks: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """The whole spec."""
        root: dict[str, Any] = {"dag": {"tasks": dict(tasks)}}
        root |= {"inputDefinitions": {"parameters": parameters}} if parameters else {}
        return {
            "pipelineInfo": {"name": "trial"},
            "schemaVersion": "2.1.0",
            "root": root,
            "components": self.components,
            "deploymentSpec": {"executors": self.executors},
        } | more


class Seen:
    """A watcher that remembers, and makes a file when a task comes to a state."""

    def __init__(self) -> None:
        self.marks: dict[tuple[str, str], Path] = {}
        self.states: list[dict[str, str]] = []
        self.phases: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def nodes(self, states: list[NodeState]) -> None:
        self.states.append({state.id: state.state for state in states})
        for each in self.states[-1].items():
            if each in self.marks:
                self.marks[each].touch()

    def of(self, name: str) -> list[str]:
        """The states that a task went through."""
        found: list[str] = []
        for states in self.states:
            if name in states and found[-1:] != [states[name]]:
                found.append(states[name])
        return found


@pytest.fixture
def specs() -> Specs:
    return Specs()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes documents as one YAML file."""

    def make(*found: Any, name: str = "pipeline.yaml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump_all(found, sort_keys=False), encoding="utf-8")
        return path

    return make


@pytest.fixture
def run(write: Callable[..., Path], root: Path, seen: Seen) -> Callable[..., Result]:
    """Runs documents, or a file; `slept` collects what would have been waited."""

    def execute(
        *found: Any,
        profile: str = "kfp",
        parameters: Mapping[str, str] | None = None,
        slept: list[float] | None = None,
        job_id: str = "job-1",
        **settings: Any,
    ) -> Result:
        path = found[0] if isinstance(found[0], Path) else write(*found)

        async def sleep(seconds: float) -> None:
            if slept is not None:
                slept.append(seconds)
            await asyncio.sleep(0)

        document = documents.read(path, PROFILES[profile])
        made = Settings(root=root, job_id=job_id, sleep=sleep, **settings)
        return engine.execute(document, PROFILES[profile], parameters or {}, made, seen)

    return execute
