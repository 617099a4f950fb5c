"""The order of tasks, what runs after a failure, and what passes between tasks."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError

_STRING = {"parameterType": "STRING"}
_WRITE = "import pathlib,sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
_ARTIFACT = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}


def _from_task(task: str, key: str) -> dict[str, Any]:
    return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}


def _artifact_from(task: str, key: str) -> dict[str, Any]:
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}


def _states(result: Any) -> dict[str, str]:
    return {name: task.state for name, task in result.tasks.items()}


def _log(result: Any, name: str) -> str:
    return Path(result.tasks[name].log).read_text()


def test_an_output_parameter_of_each_type_reaches_the_next_task(specs, run) -> None:
    cases = {
        "STRING": ("four", "four"),
        "NUMBER_INTEGER": (" 4\n", "4"),
        "NUMBER_DOUBLE": ("0.00000025", "0.00000025"),
        "BOOLEAN": ("True", "true"),
        "LIST": ("[1, 2]", "[1,2]"),
        "STRUCT": ('{"a": 1}', '{"a":1}'),
    }
    tasks = {}
    for kind, (written, _) in cases.items():
        made, used = f"make-{kind.lower().replace('_', '-')}", f"use-{kind.lower().replace('_', '-')}"
        definition = {"parameters": {"x": {"parameterType": kind}}}
        tasks[made] = specs.task(made, _WRITE, "{{$.outputs.parameters['x'].output_file}}", written, outputs=definition)
        tasks[used] = specs.task(
            used,
            "import sys; print(repr(sys.argv[1]))",
            "{{$.inputs.parameters['x']}}",
            inputs=definition,
            given={"parameters": {"x": _from_task(made, "x")}},
        )
    result = run(specs.pipeline(tasks))
    assert result.exit_code == 0
    for kind, (_, read) in cases.items():
        assert _log(result, f"use-{kind.lower().replace('_', '-')}").strip() == repr(read)


def test_the_executor_input_is_what_the_backend_gives(specs, run, root) -> None:
    definition = {
        "parameters": {
            "rows": {"parameterType": "NUMBER_INTEGER"},
            "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5, "isOptional": True},
            "job": _STRING,
        }
    }
    task = specs.task(
        "show",
        "import sys; print(sys.argv[1])",
        "{{$}}",
        inputs=definition,
        outputs={"artifacts": {"data": _ARTIFACT}},
        given={
            "parameters": {
                "rows": {"componentInputParameter": "rows"},
                "job": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}},
            }
        },
    )
    spec = specs.pipeline({"show": task}, {"rows": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3}})
    result = run(spec, parameters={"rows": "7"})
    folder = root / "trial" / "job-1" / "show"
    assert json.loads(_log(result, "show")) == {
        "inputs": {"parameterValues": {"rows": 7, "rate": 0.5, "job": "job-1"}},
        "outputs": {
            "artifacts": {
                "data": {
                    "artifacts": [
                        {
                            "name": "data",
                            "type": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"},
                            "uri": str(folder / "data"),
                            "metadata": {},
                        }
                    ]
                }
            },
            "outputFile": str(folder / "executor_output.json"),
        },
    }
    assert '"rows":7' in _log(result, "show")


_DESCRIBE = (
    "import json,sys,pathlib; given=json.loads(sys.argv[1])['outputs'];"
    "pathlib.Path(given['outputFile']).write_text(json.dumps({'artifacts': {'data': {'artifacts': [{'name': 'x',"
    "'metadata': {'rows': 3, 'whole': True, 'names': ['a']}}]}}}))"
)


@pytest.mark.parametrize(
    ("profile", "type_", "metadata"),
    [
        (
            "kfp",
            {"instanceSchema": ""},
            {"rows": 3, "whole": 1, "names": {"list": ["a"]}, "display_name": "data", "split": "train"},
        ),
        (
            "vertex",
            {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"},
            {"rows": 3, "whole": True, "names": ["a"], "split": "train"},
        ),
    ],
)
def test_an_artifact_is_handed_over_as_the_backend_does(specs, run, profile, type_, metadata) -> None:
    artifact = {**_ARTIFACT, "metadata": {"split": "train"}}
    make = specs.task("make", _DESCRIBE, "{{$}}", outputs={"artifacts": {"data": artifact}})
    use = specs.task(
        "use",
        "import sys; print(sys.argv[1])",
        "{{$}}",
        inputs={"artifacts": {"data": _ARTIFACT}},
        given={"artifacts": {"data": _artifact_from("make", "data")}},
    )
    inner = specs.task(
        "inner",
        "import sys; print(sys.argv[1])",
        "{{$}}",
        inputs={"artifacts": {"data": _ARTIFACT}},
        given={"artifacts": {"data": {"componentInputArtifact": "data"}}},
    )
    nested = specs.graph(
        "nested",
        {"inner": inner},
        inputDefinitions={"artifacts": {"data": _ARTIFACT}},
        inputs={"artifacts": {"data": _artifact_from("make", "data")}},
    )
    result = run(specs.pipeline({"make": make, "use": use, "nested": nested}), profile=profile)
    assert result.exit_code == 0
    (given,) = json.loads(_log(result, "use"))["inputs"]["artifacts"]["data"]["artifacts"]
    given["metadata"].pop("store_session_info", None)
    assert given["type"] == type_
    assert given["metadata"] == metadata
    (below,) = json.loads(_log(result, "inner"))["inputs"]["artifacts"]["data"]["artifacts"]
    assert below.get("type") == (type_ if profile == "vertex" else None)


def test_two_branches_run_at_once(specs, run, tmp_path) -> None:
    code = (
        "import pathlib,sys,time; here,there=map(pathlib.Path, sys.argv[1:]); here.touch()\n"
        "end=time.monotonic()+20\n"
        "while not there.exists():\n"
        "    assert time.monotonic()<end; time.sleep(0.01)\n"
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    tasks = {"left": specs.task("left", code, a, b), "right": specs.task("right", code, b, a)}
    assert _states(run(specs.pipeline(tasks), parallel=2)) == {"left": "done", "right": "done"}


def test_no_more_tasks_run_at_once_than_asked(specs, run, tmp_path) -> None:
    code = "import os,sys,time; os.mkdir(sys.argv[1]); time.sleep(0.05); os.rmdir(sys.argv[1])"
    tasks = {name: specs.task(name, code, str(tmp_path / "lock")) for name in "abc"}
    assert run(specs.pipeline(tasks), parallel=1).exit_code == 0


_WAIT_FOR = "import pathlib,sys,time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"


def _failing(specs, seen, tmp_path) -> Any:
    """Two branches: one fails; the first task of the other ends when that is known."""
    seen.marks["bad", "failed"] = tmp_path / "known"
    bad = specs.task("bad", "raise SystemExit(10)")
    after_bad = specs.task("after-bad", dependentTasks=["bad"])
    slow = specs.task("slow", _WAIT_FOR, str(tmp_path / "known"))
    after_slow = specs.task("after-slow", dependentTasks=["slow"])
    return specs.pipeline({"bad": bad, "after-bad": after_bad, "slow": slow, "after-slow": after_slow})


@pytest.mark.parametrize(("profile", "other"), [("kfp", "not_run"), ("vertex", "done")])
def test_what_runs_after_a_failure(specs, run, seen, tmp_path, profile, other) -> None:
    result = run(_failing(specs, seen, tmp_path), profile=profile, parallel=2)
    assert _states(result) == {"bad": "failed", "after-bad": "not_run", "slow": "done", "after-slow": other}
    assert (result.state, result.shown_as, result.exit_code) == ("failed", "FAILED", 10)
    assert result.tasks["bad"].exit_code == 10
    assert result.failed == ["bad"]


def test_a_job_that_asks_to_fail_fast_does_on_vertex(specs, run, seen, tmp_path) -> None:
    job = {
        "pipelineSpec": _failing(specs, seen, tmp_path),
        "runtimeConfig": {"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST"},
    }
    assert _states(run(job, profile="vertex", parallel=2))["after-slow"] == "not_run"


def test_another_exit_code_is_one(specs, run) -> None:
    assert run(specs.pipeline({"bad": specs.task("bad", "raise SystemExit(9)")})).exit_code == 1


@pytest.mark.parametrize(("value", "state"), [("5", "done"), ("3", "skipped")])
def test_a_condition_decides_and_what_follows_is_skipped_too(specs, run, value, state) -> None:
    number = {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}}}
    guarded = specs.task(
        "guarded",
        inputs=number,
        given={"parameters": {"x": {"componentInputParameter": "x"}}},
        triggerPolicy={"condition": "inputs.parameter_values['x'] > 3 && int(inputs.parameter_values['x']) < 9"},
    )
    after = specs.task("after", dependentTasks=["guarded"])
    graph = specs.graph("graph", {"inside": specs.task("inside")}, dependentTasks=["after"])
    spec = specs.pipeline({"guarded": guarded, "after": after, "graph": graph}, number["parameters"])
    result = run(spec, parameters={"x": value})
    assert _states(result) == {"guarded": state, "after": state, "graph": state, "inside": state}
    assert (result.state, result.exit_code) == ("succeeded", 0)


def test_a_condition_that_cannot_be_judged_fails_the_task(specs, run) -> None:
    task = specs.task("guarded", triggerPolicy={"condition": "inputs.parameter_values['nowhere'] == 'a'"})
    result = run(specs.pipeline({"guarded": task}))
    assert "no such key" in result.tasks["guarded"].error
    assert result.failed == ["guarded"]


def _with_handler(specs, code: str, handler: str, **more: Any) -> Any:
    main = specs.graph("main", {"work": specs.task("work", code)})
    status = {"parameters": {"status": {"parameterType": "TASK_FINAL_STATUS"}}}
    finish = specs.task(
        "finish",
        handler,
        "{{$.inputs.parameters['status']}}",
        inputs=status,
        given={"parameters": {"status": {"taskFinalStatus": {"producerTask": "main"}}}},
        dependentTasks=["main"],
        triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    )
    return specs.pipeline({"main": main, "finish": finish}, **more)


_SHOW = "import sys; print(sys.argv[1])"


@pytest.mark.parametrize(
    ("profile", "code", "state"),
    [
        ("kfp", "", "COMPLETE"),
        ("kfp", "1/0", "FAILED"),
        ("vertex", "", "SUCCEEDED"),
        ("vertex", "1/0", "FAILED"),
    ],
)
def test_an_exit_handler_runs_and_is_told_how_it_went(specs, run, profile, code, state) -> None:
    result = run(_with_handler(specs, code, _SHOW), profile=profile)
    status = json.loads(_log(result, "finish"))
    assert (status["state"], status["pipelineTaskName"]) == (state, "main")
    assert bool(status["error"]) == (profile == "vertex" and bool(code))
    assert result.exit_code == (1 if code else 0)
    assert result.tasks["finish"].exit_handler and not result.tasks["work"].exit_handler


@pytest.mark.parametrize(("profile", "shown"), [("kfp", "SUCCEEDED"), ("vertex", "FAILED")])
def test_an_exit_handler_that_fails_alone(specs, run, profile, shown) -> None:
    result = run(_with_handler(specs, "", "raise SystemExit(11)"), profile=profile)
    assert (result.state, result.shown_as, result.exit_code) == ("failed", shown, 11)


def test_the_exit_handler_s_code_goes_before_the_first_failure_s(specs, run) -> None:
    assert run(_with_handler(specs, "raise SystemExit(10)", "raise SystemExit(12)")).exit_code == 12
    assert run(_with_handler(specs, "raise SystemExit(10)", "raise SystemExit(1)"), job_id="job-2").exit_code == 10


_FAILS_TWICE = (
    "import pathlib,sys; count=pathlib.Path(sys.argv[1]); n=len(count.read_text()) if count.exists() else 0;"
    "count.write_text('x'*(n+1)); out=pathlib.Path(sys.argv[2]); print('found', out.exists(), list(pathlib.Path('.').iterdir()));"
    "out.write_text(str(n)); pathlib.Path('left').touch(); sys.exit(0 if n==2 else 5)"
)


def test_a_task_is_tried_again_from_a_clean_start(specs, run, tmp_path, seen) -> None:
    task = specs.task(
        "flaky",
        _FAILS_TWICE,
        str(tmp_path / "count"),
        "{{$.outputs.parameters['n'].output_file}}",
        outputs={"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}},
        retryPolicy={
            "maxRetryCount": 3,
            "backoffDuration": "2s",
            "backoffFactor": 3,
            "backoffMaxDuration": "3600s",
        },
    )
    slept: list[float] = []
    result = run(specs.pipeline({"flaky": task}), slept=slept)
    flaky = result.tasks["flaky"]
    assert (flaky.state, flaky.attempts, flaky.exit_code) == ("done", 3, 0)
    assert flaky.outputs["parameters"] == {"n": 2}
    assert slept == [2.0, 6.0]
    assert _log(result, "flaky").count("found False []") == 3
    assert seen.of("flaky") == ["waiting", "running", "retrying", "running", "retrying", "running", "done"]


def test_a_task_gives_up_and_a_long_wait_is_cut(specs, run) -> None:
    task = specs.task("bad", "raise SystemExit(10)", retryPolicy={"maxRetryCount": 2, "backoffDuration": "600s"})
    slept: list[float] = []
    result = run(specs.pipeline({"bad": task}), slept=slept)
    assert (result.tasks["bad"].attempts, result.exit_code, slept) == (3, 10, [10.0, 10.0])


def test_a_graph_s_retries_hold_for_its_tasks(specs, run) -> None:
    own = specs.task("own", "raise SystemExit(1)", retryPolicy={"maxRetryCount": 0})
    theirs = specs.task("theirs", "raise SystemExit(1)")
    graph = specs.graph("graph", {"own": own, "theirs": theirs}, retryPolicy={"maxRetryCount": 1})
    result = run(specs.pipeline({"graph": graph}), profile="vertex")
    assert (result.tasks["own"].attempts, result.tasks["theirs"].attempts) == (1, 2)


def test_outputs_of_a_graph_and_of_the_branch_that_ran(specs, run) -> None:
    out = {"parameters": {"x": _STRING}}
    tasks = {}
    for name, condition in {"yes": "true", "no": "false"}.items():
        leaf = specs.task(f"leaf-{name}", _WRITE, "{{$.outputs.parameters['x'].output_file}}", name, outputs=out)
        tasks[name] = specs.graph(
            name,
            {f"leaf-{name}": leaf},
            outputDefinitions=out,
            dagOutputs={
                "parameters": {
                    "x": {"valueFromParameter": {"producerSubtask": f"leaf-{name}", "outputParameterKey": "x"}}
                }
            },
            triggerPolicy={"condition": condition},
        )
    either = specs.graph(
        "either",
        tasks,
        outputDefinitions=out,
        dagOutputs={
            "parameters": {
                "x": {
                    "valueFromOneof": {
                        "parameterSelectors": [
                            {"producerSubtask": name, "outputParameterKey": "x"} for name in ("no", "yes")
                        ]
                    }
                }
            }
        },
    )
    use = specs.task(
        "use",
        _SHOW,
        "{{$.inputs.parameters['x']}}",
        inputs=out,
        given={"parameters": {"x": _from_task("either", "x")}},
    )
    result = run(specs.pipeline({"either": either, "use": use}))
    assert _log(result, "use") == "yes\n"
    assert result.tasks["either"].outputs["parameters"] == {"x": "yes"}


def test_a_missing_output_parameter_fails_the_task(specs, run) -> None:
    task = specs.task("mute", outputs={"parameters": {"x": _STRING}})
    result = run(specs.pipeline({"mute": task}))
    assert "output parameter 'x' was not written" in result.tasks["mute"].error
    assert (result.tasks["mute"].exit_code, result.exit_code) == (0, 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [("{", "is no ExecutorOutput"), ('{"surprise": 1}', "surprise"), ('{"artifacts": 3}', "is no ExecutorOutput")],
)
def test_an_output_file_is_read_strictly(specs, run, written, said) -> None:
    task = specs.task("wrong", _WRITE, "{{$.outputs.output_file}}", written)
    assert said in run(specs.pipeline({"wrong": task})).tasks["wrong"].error


def test_a_command_that_is_not_there(specs, run) -> None:
    executor = {"container": {"image": "none", "command": ["no-such-program-here"]}}
    result = run(specs.pipeline({"lost": specs.task("lost", executor=executor)}))
    assert "'no-such-program-here' can't be started: No such file" in result.tasks["lost"].error
    assert result.tasks["lost"].exit_code is None


def test_a_job_id_is_used_once(specs, run, root) -> None:
    spec = specs.pipeline({"a": specs.task("a")})
    run(spec, job_id="mine")
    with pytest.raises(UsageError, match="is there already"):
        run(spec, job_id="mine")


def test_what_a_command_leaves_running_ends_with_it(specs, run, tmp_path) -> None:
    code = (
        "import subprocess,sys,pathlib; child=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']);"
        "pathlib.Path(sys.argv[1]).write_text(str(child.pid))"
    )
    assert run(specs.pipeline({"parent": specs.task("parent", code, str(tmp_path / "pid"))})).exit_code == 0
    child = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    end = time.monotonic() + 10
    while child.exists() and child.read_text().rsplit(")", 1)[1].split()[0] != "Z" and time.monotonic() < end:
        time.sleep(0.01)
    assert not child.exists() or child.read_text().rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (
            "kfp",
            {
                "uuid": "job-1",
                "name": "trial",
                "resource": "trial-job-1",
                "task": "show",
                "root": "{{$.pipeline_root}}",
                "within": "run {{$.pipeline_job_uuid}}",
                "other": "3 and {{$.inputs.parameters['none']}}",
            },
        ),
        (
            "vertex",
            {
                "uuid": "job-1",
                "name": "job-1",
                "resource": "projects/local/locations/local/pipelineJobs/job-1",
                "task": "show",
                "root": "ROOT",
                "within": "run job-1",
                "other": "3 and {{$.inputs.parameters['none']}}",
            },
        ),
    ],
)
def test_constants_and_what_they_stand_for(specs, run, root, profile, expected) -> None:
    constants = {
        "uuid": "{{$.pipeline_job_uuid}}",
        "name": "{{$.pipeline_job_name}}",
        "resource": "{{$.pipeline_job_resource_name}}",
        "task": "{{$.pipeline_task_name}}",
        "root": "{{$.pipeline_root}}",
        "within": "run {{$.pipeline_job_uuid}}",
        "other": "{{$.inputs.parameters['n']}} and {{$.inputs.parameters['none']}}",
    }
    given: dict[str, Any] = {key: {"runtimeValue": {"constant": text}} for key, text in constants.items()}
    given["n"] = {"runtimeValue": {"constant": 3}}
    definition = {"parameters": {**dict.fromkeys(constants, _STRING), "n": {"parameterType": "NUMBER_INTEGER"}}}
    code = "import json,sys; print(json.dumps(json.loads(sys.argv[1])['inputs']['parameterValues']))"
    task = specs.task("show", code, "{{$}}", inputs=definition, given={"parameters": given})
    found = json.loads(_log(run(specs.pipeline({"show": task}), profile=profile), "show"))
    assert found.pop("n") == 3
    assert {key: text.replace(str(root), "ROOT") for key, text in found.items()} == expected


@pytest.mark.parametrize(
    ("definition", "given", "said"),
    [
        (
            {"parameterType": "NUMBER_INTEGER"},
            {"runtimeValue": {"constant": "3"}},
            "expected NUMBER_INTEGER. Received: '3'",
        ),
        (
            {"parameterType": "NUMBER_INTEGER"},
            {"runtimeValue": {"constant": 3.5}},
            "expected NUMBER_INTEGER. Received: 3.5",
        ),
        (_STRING, None, "has neither a value nor a default, and is not optional"),
        (_STRING, {"componentInputParameter": "nowhere"}, "the graph has no input parameter 'nowhere'"),
        (_STRING, {"componentInputParameter": "nothing"}, "has no value, and is not optional"),
        (
            {**_STRING, "literals": ["a", "b"]},
            {"runtimeValue": {"constant": "c"}},
            "expected one of ['a', 'b']. Received: 'c'",
        ),
    ],
)
def test_an_input_that_cannot_do_fails_the_task(specs, run, definition, given, said) -> None:
    inputs = {"parameters": {"x": given}} if given else None
    task = specs.task("use", inputs={"parameters": {"x": definition}}, given=inputs)
    result = run(specs.pipeline({"use": task}, {"nothing": {**_STRING, "isOptional": True}}))
    assert said in result.tasks["use"].error
    assert result.tasks["use"].log is None


_TELL = (
    "import json,sys; open(sys.argv[1], 'w').write("
    "json.dumps({'artifacts': {'data': {'artifacts': [{'name': 'data', 'uri': sys.argv[2]}]}}}))"
)


@pytest.mark.parametrize(
    ("uri", "profile", "state"),
    [
        ("s3://bucket/elsewhere/data", "kfp", "failed"),
        ("{root}/tips/artifacts/Gen/7", "kfp", "failed"),
        ("https://example.org/data", "kfp", "done"),
        ("s3://bucket/elsewhere/data", "vertex", "done"),
    ],
)
def test_a_place_outside_of_the_run_s_folder_is_refused_as_by_kfp_s_launcher(
    specs, run, root, uri: str, profile: str, state: str
) -> None:
    """KFP 2.17, component/launcher_v2.go: uploadOutputArtifacts asks KeyFromURI of the run's own bucket prefix."""
    told = uri.format(root=root)
    outputs = {"artifacts": {"data": _ARTIFACT}}
    task = specs.task("make", _TELL, "{{$.outputs.output_file}}", told, outputs=outputs)
    result = run(specs.pipeline({"make": task}), profile=profile)
    assert _states(result) == {"make": state}
    if state == "failed":
        assert f"URI {told!r} does not have expected bucket prefix" in _log(result, "make")
