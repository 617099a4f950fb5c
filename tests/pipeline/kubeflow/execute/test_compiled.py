"""Specs that the official SDK compiles, run for real."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

_SAY = "import pathlib,sys; p=pathlib.Path(sys.argv[1]); p.parent.mkdir(parents=True, exist_ok=True); p.write_text(sys.argv[2])"


@dsl.container_component
def say(text: str, out: dsl.OutputPath(str)):  # type: ignore[valid-type]
    return dsl.ContainerSpec(image="none", command=["python", "-c", _SAY], args=[out, text])


@dsl.container_component
def count(n: int, out: dsl.OutputPath(int)):  # type: ignore[valid-type]
    return dsl.ContainerSpec(image="none", command=["python", "-c", _SAY], args=[out, n])


@dsl.container_component
def show(text: str):
    return dsl.ContainerSpec(image="none", command=["python", "-c", "import sys; print(sys.argv[1])"], args=[text])


@dsl.container_component
def show_if(text: str = "default"):
    return dsl.ContainerSpec(
        image="none",
        command=["python", "-c", "import sys; print(sys.argv[1:])"],
        args=[dsl.IfPresentPlaceholder("text", then=["--text", text], else_=["--none"])],
    )


@dsl.container_component
def show_all(numbers: list[int]):
    return dsl.ContainerSpec(image="none", command=["python", "-c", "import sys; print(sys.argv[1])"], args=[numbers])


@dsl.container_component
def fail():
    return dsl.ContainerSpec(image="none", command=["python", "-c", "raise SystemExit(10)"])


@dsl.container_component
def train(data: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model]):
    code = "import pathlib,sys; pathlib.Path(sys.argv[2]).write_text(pathlib.Path(sys.argv[1]).read_text().upper())"
    return dsl.ContainerSpec(image="none", command=["python", "-c", code], args=[data.path, model.path])


@dsl.component(install_kfp_package=False)
def measure(model: dsl.Input[dsl.Model], metrics: dsl.Output[dsl.Metrics], times: int = 2) -> float:
    """A component whose code is in the spec itself."""
    with open(model.path) as stream:
        size = len(stream.read())
    metrics.log_metric("size", size)
    return size * times / 2


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[[Any], Path]:
    def compile_(pipeline: Any) -> Path:
        path = tmp_path / "compiled.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path

    return compile_


def _log(result: Any, name: str) -> str:
    return Path(result.tasks[name].log).read_text()


@pytest.mark.parametrize(("n", "chosen"), [("7", "big"), ("2", "small")])
@pytest.mark.parametrize("profile", ["kfp", "vertex"])
def test_if_and_else(run, compiled, n: str, chosen: str, profile: str) -> None:
    @dsl.pipeline(name="choose")
    def choose(n: int = 1):
        made = count(n=n)
        with dsl.If(made.output > 5):
            first = say(text=f"big {made.output}")
        with dsl.Else():
            second = say(text=f"small {made.output}")
        show(text=dsl.OneOf(first.output, second.output))

    result = run(compiled(choose), parameters={"n": n}, profile=profile)
    assert result.exit_code == 0
    assert _log(result, "show") == f"{chosen} {n}\n"
    assert sorted(name for name, task in result.tasks.items() if task.state == "skipped") == (
        ["condition-3", "say-2"] if chosen == "big" else ["condition-2", "say"]
    )


@pytest.mark.parametrize("profile", ["kfp", "vertex"])
def test_an_exit_handler_after_a_failure(run, compiled, profile: str) -> None:
    @dsl.container_component
    def told(status: dsl.PipelineTaskFinalStatus):
        code = "import sys; print(sys.argv[1])"
        return dsl.ContainerSpec(image="none", command=["python", "-c", code], args=[status])

    @dsl.pipeline(name="guarded")
    def guarded():
        end = told()
        with dsl.ExitHandler(end, name="main"):
            bad = fail()
            show(text="never").after(bad)

    result = run(compiled(guarded), profile=profile)
    assert {name: task.state for name, task in result.tasks.items()} == {
        "exit-handler-1": "failed",
        "fail": "failed",
        "show": "not_run",
        "told": "done",
    }
    assert result.exit_code == 10
    assert '"state":"FAILED"' in _log(result, "told")


def test_artifacts_an_importer_and_code_in_the_spec(run, compiled, tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("abc")

    @dsl.pipeline(name="model")
    def model(uri: str):
        fetched = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset, metadata={"by": "hand"})
        trained = train(data=fetched.output)
        measured = measure(model=trained.outputs["model"])
        with dsl.If(measured.outputs["Output"] >= 3.0):
            show(text=f"{measured.outputs['Output']}")

    result = run(compiled(model), parameters={"uri": str(data)})
    assert result.exit_code == 0, {name: task.error for name, task in result.tasks.items()}
    (made,) = result.tasks["train"].outputs["artifacts"]["model"]
    assert (made["type"], Path(made["uri"]).read_text()) == ("system.Model", "ABC")
    (metrics,) = result.tasks["measure"].outputs["artifacts"]["metrics"]
    assert metrics["metadata"]["size"] == 3
    assert _log(result, "show") == "3\n"


def test_a_loop_and_what_is_collected_of_it(run, compiled) -> None:
    @dsl.pipeline(name="loop")
    def loop():
        with dsl.ParallelFor(items=[{"a": 1}, {"a": 2}]) as item:
            each = count(n=item.a)
            show(text=f"n={each.output}")
        show_all(numbers=dsl.Collected(each.output))

    result = run(compiled(loop))
    assert _log(result, "show-all") == "[1,2]\n"
    assert _log(result, "for-loop-2.1.show") == "n=2\n"


def test_retries_and_optional_inputs(run, compiled) -> None:
    @dsl.pipeline(name="again")
    def again():
        fail().set_retry(num_retries=2, backoff_duration="1s", backoff_factor=2.0)
        show_if().set_display_name("with its default")
        show_if(text="given")

    slept: list[float] = []
    result = run(compiled(again), slept=slept, profile="vertex")
    assert (result.tasks["fail"].attempts, slept, result.exit_code) == (3, [1.0, 2.0], 10)
    assert _log(result, "show-if") == "['--text', 'default']\n"
    assert _log(result, "show-if-2") == "['--text', 'given']\n"
