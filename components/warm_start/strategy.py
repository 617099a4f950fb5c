"""The latest blessed model, or the one that a given run trained."""

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

from pipeline.errors import MillraceError

LATEST = "latest"
_KEYS = ("model", "model_blessing")


class EarlierModel(resolver.ResolverStrategy):
    """What `--warm-start` names.

        tfx.dsl.Resolver(
            strategy_class=EarlierModel,
            config={"run": "latest"},
            model=tfx.dsl.Channel(type=standard_artifacts.Model),
            model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
        )

    Inputs: `model` and `model_blessing` of all runs. Output: `model`, one artifact; or none, where the latest is asked
    for and no model was ever blessed.
    """

    def __init__(self, run: str = LATEST) -> None:
        """Looks for the model of this run, or for the latest blessed one."""
        self._run = run

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy.

        Raises:
          MillraceError: the run is unknown, or trained no model.
        """
        # TFX's launcher looks every input key up in the result; one without artifacts is not in `input_dict`.
        given = {key: list(input_dict.get(key, ())) for key in _KEYS}
        if self._run == LATEST:
            found = LatestBlessedModelStrategy().resolve_artifacts(store, given) if all(given.values()) else None
            return found or {key: [] for key in _KEYS}
        trained = _made_in(store, self._run)
        models = [model for model in given["model"] if model.id in trained]
        if not models:
            raise MillraceError(
                f"warm start: run {self._run} is not in the metadata, or trained no model. "
                "Next: `millrace runs` lists the runs"
            )
        return {"model": [max(models, key=lambda model: model.id)], "model_blessing": []}


def _made_in(store: mlmd.MetadataStore, run: str) -> set[int]:
    """Ids of the artifacts that a run made or took from the cache."""
    context = store.get_context_by_type_and_name("pipeline_run", run)
    executions = store.get_executions_by_context(context.id) if context else []
    events = store.get_events_by_execution_ids([execution.id for execution in executions]) if executions else []
    return {event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT}
