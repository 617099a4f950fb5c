"""Resolver strategies that look earlier statistics up in ML Metadata. Where there are none they resolve to nothing.

    tfx.dsl.Resolver(
        strategy_class=PreviousStatistics,
        statistics=tfx.dsl.Channel(type=standard_artifacts.ExampleStatistics),
        verdicts=tfx.dsl.Channel(type=DataVerdict),
        present=statistics_gen.outputs["statistics"],
        examples=example_gen.outputs["examples"],
    )

Both leave the present statistics out: data compared with itself shows nothing, and a run that changes nothing would not
be cached.
"""

from collections.abc import Iterable
from typing import TypeAlias

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common import resolver

from components.data_gate import verdict
from pipeline import mirrored
from pipeline.push import history
from pipeline.push.versions import Places

Artifacts = dict[str, list[types.Artifact]]
_Event: TypeAlias = metadata_store_pb2.Event
_KEYS = ("statistics", "verdicts", "pushed", "present", "examples")
_INPUT = (_Event.INPUT, _Event.DECLARED_INPUT)
_OUTPUT = (_Event.OUTPUT, _Event.DECLARED_OUTPUT)


class PreviousStatistics(resolver.ResolverStrategy):
    """The statistics of the newest data that the gate let through, apart from the present.

    Inputs: `statistics` and `verdicts` of all runs, `present` statistics and `examples` of this run. Output:
    `statistics`, one artifact or none. Where the data comes in spans it is that of the highest span below the present
    one, and of several runs on that span the last; without spans it is that of the last run on other files.
    """

    def resolve_artifacts(self, store: mlmd.MetadataStore, input_dict: Artifacts) -> Artifacts | None:
        """See ResolverStrategy."""
        present = {artifact.id for artifact in input_dict["present"]}
        span = verdict.span_of(input_dict["examples"])
        fingerprint = verdict.fingerprint_of(input_dict["examples"])
        known = {artifact.id: artifact for artifact in input_dict.get("statistics", ()) if artifact.id not in present}
        candidates = []
        for found in input_dict.get("verdicts", ()):
            passed = verdict.read(found)
            earlier = passed.span < span if span else not fingerprint or passed.fingerprint != fingerprint
            if passed.statistics in known and earlier:
                candidates.append((passed.span, found.id, passed.statistics))
        chosen = [known[max(candidates)[2]]] if candidates else []
        # TFX's launcher looks every input key up in the result; one without artifacts is not in `input_dict`.
        return {**{key: [] for key in _KEYS}, **input_dict, "statistics": chosen}


class ServedStatistics(resolver.ResolverStrategy):
    """The statistics of the data that the served model learned from.

        tfx.dsl.Resolver(strategy_class=ServedStatistics, config={"watched": folder}, statistics=…, pushed=…, present=…)

    Inputs: `statistics` and `pushed` of all runs, `present` statistics of this run. Output: `statistics`, one artifact
    or none. What is served is in the history of pushes; without one it is the newest pushed model. The way from there
    through ML Metadata: the model, its Trainer, that one's `raw_examples`, what read these and gave statistics.
    """

    def __init__(self, watched: str) -> None:
        """Takes the folder that a server watches; see pipeline/push/versions.py."""
        self._places = Places(mirrored.local(watched))

    def resolve_artifacts(self, store: mlmd.MetadataStore, input_dict: Artifacts) -> Artifacts | None:
        """See ResolverStrategy."""
        present = {artifact.id for artifact in input_dict["present"]}
        known = {artifact.id: artifact for artifact in input_dict.get("statistics", ())}
        found = _learned_from(store, self._models(store, input_dict), set(known))
        chosen = [known[found]] if found is not None and found not in present else []
        # TFX's launcher looks every input key up in the result; one without artifacts is not in `input_dict`.
        return {**{key: [] for key in _KEYS}, **input_dict, "statistics": chosen}

    def _models(self, store: mlmd.MetadataStore, input_dict: Artifacts) -> list[int]:
        """Id of the model that is served; none where nothing is."""
        served = history.served_models(self._places)
        if served:
            return [artifact.id for artifact in store.get_artifacts_by_uri(served[0])]
        pushed = [a.id for a in input_dict.get("pushed", ()) if a.get_int_custom_property("pushed") == 1]
        return _inputs(store, _producers(store, [max(pushed)]), "model") if pushed else []


def _learned_from(store: mlmd.MetadataStore, models: list[int], statistics: set[int]) -> int | None:
    """Id of the newest statistics of the rows that a model was trained on; None where the lineage ends early."""
    examples = _inputs(store, _producers(store, models), "raw_examples")
    readers = [e.execution_id for e in _events_of(store, examples) if e.type in _INPUT]
    made = (
        {e.artifact_id for e in store.get_events_by_execution_ids(readers) if e.type in _OUTPUT} if readers else set()
    )
    return max(made & statistics, default=None)


def _events_of(store: mlmd.MetadataStore, artifacts: Iterable[int]) -> list[_Event]:
    ids = list(artifacts)
    return list(store.get_events_by_artifact_ids(ids)) if ids else []


def _producers(store: mlmd.MetadataStore, artifacts: Iterable[int]) -> list[int]:
    """Ids of the executions that wrote some artifacts."""
    return sorted({event.execution_id for event in _events_of(store, artifacts) if event.type in _OUTPUT})


def _inputs(store: mlmd.MetadataStore, executions: list[int], key: str) -> list[int]:
    """Ids of what executions read under a name."""
    if not executions:
        return []
    events = store.get_events_by_execution_ids(executions)
    return sorted({e.artifact_id for e in events if e.type in _INPUT and any(s.key == key for s in e.path.steps)})
