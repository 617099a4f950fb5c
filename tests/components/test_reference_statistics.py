"""Which statistics new data is compared with, on a real ML Metadata store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2 as proto
from tfx.types import standard_artifacts

import components
from components.reference_statistics import PreviousStatistics, ServedStatistics
from pipeline.push import history
from pipeline.push.versions import Places

INPUT, OUTPUT = proto.Event.INPUT, proto.Event.OUTPUT


class Store:
    """A SQLite store with the artifacts and executions of some runs."""

    def __init__(self, file: Path) -> None:
        config = proto.ConnectionConfig()
        config.sqlite.filename_uri = str(file)
        self.store = mlmd.MetadataStore(config)
        self.all: dict[str, list[Any]] = {}
        self.places = Places(file.parent / "serving" / "taxi")

    def artifact(self, kind: type[Any], span: int = 0, **properties: Any) -> Any:
        """Stores an artifact and keeps it under its class's name."""
        made = kind()
        made.uri = f"/{kind.__name__}/{len(self.of(kind))}"
        type_id = self.store.put_artifact_type(made.artifact_type)
        made.type_id = type_id
        if span and kind is standard_artifacts.Examples:
            made.span = span
        elif span:
            properties["span"] = span
        for name, value in properties.items():
            set_property = made.set_int_custom_property if isinstance(value, int) else made.set_string_custom_property
            set_property(name, value)
        made.mlmd_artifact.type_id = type_id
        (made.id,) = self.store.put_artifacts([made.mlmd_artifact])
        self.all.setdefault(kind.__name__, []).append(made)
        return made

    def execution(self, kind: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """Stores an execution with what it read and wrote."""
        type_id = self.store.put_execution_type(proto.ExecutionType(name=kind))
        (number,) = self.store.put_executions([proto.Execution(type_id=type_id)])
        events = []
        for direction, artifacts in ((INPUT, inputs), (OUTPUT, outputs)):
            for key, artifact in artifacts.items():
                event = proto.Event(artifact_id=artifact.id, execution_id=number, type=direction)
                event.path.steps.add(key=key)
                event.path.steps.add(index=0)
                events.append(event)
        self.store.put_events(events)

    def data(self, span: int = 0, files: str = "", accepted: bool = True) -> tuple[Any, Any]:
        """Rows, their statistics and, where accepted, the gate's verdict."""
        examples = self.artifact(standard_artifacts.Examples, span, input_fingerprint=files)
        statistics = self.artifact(standard_artifacts.ExampleStatistics)
        self.execution("StatisticsGen", {"examples": examples}, {"statistics": statistics})
        if accepted:
            self.artifact(
                components.DataVerdict, statistics_id=statistics.id, examples_id=examples.id, span=span,
                input_fingerprint=files,
            )  # fmt: skip
        return examples, statistics

    def pushed(self, examples: Any, pushed: int = 1) -> Any:
        """A model learned from rows, and the Pusher's word on it."""
        transformed = self.artifact(standard_artifacts.Examples)
        model = self.artifact(standard_artifacts.Model)
        self.execution("Trainer", {"examples": transformed, "raw_examples": examples}, {"model": model})
        blessing = self.artifact(standard_artifacts.ModelBlessing)
        artifact = self.artifact(standard_artifacts.PushedModel, pushed=pushed)
        self.execution("Pusher", {"model": model, "model_blessing": blessing}, {"pushed_model": artifact})
        return model

    def of(self, kind: type[Any]) -> list[Any]:
        return list(self.all.get(kind.__name__, []))


@pytest.fixture
def runs(tmp_path: Path) -> Store:
    return Store(tmp_path / "metadata.db")


def previous(runs: Store, present: tuple[Any, Any]) -> int | None:
    resolved = PreviousStatistics().resolve_artifacts(
        runs.store,
        {
            "statistics": runs.of(standard_artifacts.ExampleStatistics),
            "verdicts": runs.of(components.DataVerdict),
            "present": [present[1]],
            "examples": [present[0]],
        },
    )
    assert resolved is not None
    return _only(resolved["statistics"])


def served(runs: Store, present: Any) -> int | None:
    resolved = ServedStatistics(str(runs.places.watched)).resolve_artifacts(
        runs.store,
        {
            "statistics": runs.of(standard_artifacts.ExampleStatistics),
            "pushed": runs.of(standard_artifacts.PushedModel),
            "present": [present],
        },
    )
    assert resolved is not None
    return _only(resolved["statistics"])


def _only(artifacts: Sequence[Any]) -> int | None:
    assert len(artifacts) <= 1
    return artifacts[0].id if artifacts else None


def test_a_first_run_has_no_references(runs: Store) -> None:
    first = runs.data(span=1, files="a", accepted=False)
    assert previous(runs, first) is None
    assert served(runs, first[1]) is None


def test_the_span_before(runs: Store) -> None:
    one, two = runs.data(1, "a"), runs.data(2, "b")
    assert previous(runs, runs.data(3, "c", accepted=False)) == two[1].id
    assert previous(runs, two) == one[1].id
    assert previous(runs, one) is None


def test_a_span_that_was_stopped_is_passed_over(runs: Store) -> None:
    one = runs.data(1, "a")
    runs.data(2, "b", accepted=False)
    assert previous(runs, runs.data(3, "c", accepted=False)) == one[1].id


def test_a_span_that_came_late_does_not_look_ahead(runs: Store) -> None:
    one = runs.data(1, "a")
    runs.data(5, "e")
    assert previous(runs, runs.data(3, "c", accepted=False)) == one[1].id


def test_of_several_runs_on_a_span_the_last(runs: Store) -> None:
    runs.data(1, "a")
    again = runs.data(1, "a2")
    assert previous(runs, runs.data(2, "b", accepted=False)) == again[1].id


def test_without_spans_the_last_accepted_files(runs: Store) -> None:
    first = runs.data(files="a")
    second = runs.data(files="b")
    assert previous(runs, runs.data(files="c", accepted=False)) == second[1].id
    assert previous(runs, runs.data(files="b", accepted=False)) == first[1].id


def test_the_same_files_read_again_are_no_reference(runs: Store) -> None:
    first = runs.data(files="a")
    assert previous(runs, first) is None
    assert previous(runs, runs.data(files="a", accepted=False)) is None


def test_statistics_that_are_gone_are_passed_over(runs: Store) -> None:
    one, two = runs.data(1, "a"), runs.data(2, "b")
    present = runs.data(3, "c", accepted=False)
    runs.all["ExampleStatistics"].remove(two[1])
    assert previous(runs, present) == one[1].id


def test_what_the_served_model_learned_from(runs: Store) -> None:
    one = runs.data(1, "a")
    runs.pushed(one[0])
    two = runs.data(2, "b")
    assert served(runs, two[1]) == one[1].id
    runs.pushed(two[0])
    assert served(runs, runs.data(3, "c", accepted=False)[1]) == two[1].id


def test_a_model_that_was_not_pushed_is_not_served(runs: Store) -> None:
    one, two = runs.data(1, "a"), runs.data(2, "b")
    runs.pushed(one[0])
    runs.pushed(two[0], pushed=0)
    assert served(runs, runs.data(3, "c")[1]) == one[1].id


def test_data_is_not_compared_with_itself(runs: Store) -> None:
    one = runs.data(1, "a")
    runs.pushed(one[0])
    assert served(runs, one[1]) is None


def test_lineage_that_ends_early_gives_nothing(runs: Store) -> None:
    one = runs.data(1, "a")
    runs.artifact(standard_artifacts.PushedModel, pushed=1)
    assert served(runs, one[1]) is None
    model = runs.artifact(standard_artifacts.Model)
    pushed = runs.artifact(standard_artifacts.PushedModel, pushed=1)
    runs.execution("Pusher", {"model": model}, {"pushed_model": pushed})
    assert served(runs, one[1]) is None


def test_statistics_computed_twice_count_by_the_newest(runs: Store) -> None:
    examples, _ = runs.data(1, "a")
    again = runs.artifact(standard_artifacts.ExampleStatistics)
    runs.execution("StatisticsGen", {"examples": examples}, {"statistics": again})
    runs.pushed(examples)
    assert served(runs, runs.data(2, "b")[1]) == again.id


def test_after_a_rollback_what_the_model_gone_back_to_learned_from(runs: Store) -> None:
    one, two = runs.data(1, "a"), runs.data(2, "b")
    for number, (examples, _) in enumerate((one, two), 101):
        history.append(runs.places, history.event("pushed", number, model=runs.pushed(examples).uri))
    present = runs.data(3, "c")[1]
    assert served(runs, present) == two[1].id
    history.append(runs.places, history.event("rolled_back", 101, withdrawn=["102"]))
    assert served(runs, present) == one[1].id
