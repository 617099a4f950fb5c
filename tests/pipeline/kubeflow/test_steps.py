"""Nodes as steps: who runs the resolvers, and who waits for whom."""

from pipeline.kubeflow.steps import Step, arranged


def _node(name: str, *after: str, **inputs: tuple[str, str]) -> Step:
    return Step(name, 0, (), after, inputs, {"out": "Examples"})


def _lookup(name: str, *after: str) -> Step:
    return Step(name, 0, (), after, {}, {})


def test_a_resolver_runs_in_the_container_of_the_first_that_asks_it() -> None:
    steps = arranged(
        [
            _node("Gen"),
            _node("Train", "Gen"),
            _lookup("Baseline", "Train"),
            _node("Evaluate", "Gen", "Baseline", baseline=("Baseline", "model"), examples=("Gen", "out")),
            _node("Push", "Train", "Baseline"),
        ]
    )
    assert [step.node for step in steps] == ["Gen", "Train", "Evaluate", "Push"]
    evaluate, push = steps[2], steps[3]
    assert evaluate.lookups == ("Baseline",)
    assert evaluate.after == ("Gen", "Train")
    assert evaluate.inputs == {"examples": ("Gen", "out")}
    assert push.lookups == ()
    assert push.after == ("Train", "Evaluate")


def test_a_step_s_place_is_that_of_its_node() -> None:
    steps = arranged([_node("A"), _lookup("Look", "A"), _node("B", "Look")])
    assert [(step.node, step.place, step.after) for step in steps] == [("A", 0, ()), ("B", 2, ("A",))]


def test_a_resolver_that_asks_a_resolver_runs_after_it() -> None:
    steps = arranged([_node("A"), _lookup("First", "A"), _lookup("Second", "First"), _node("B", "Second")])
    assert steps[1].lookups == ("First", "Second")
    assert steps[1].after == ("A",)
