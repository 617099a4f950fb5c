"""The latest blessed model other than the candidate."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy


class LatestBlessedBaseline(resolver.ResolverStrategy):
    """TFX's LatestBlessedModelStrategy without the candidate.

    After a run that changed nothing, TFX's own strategy compares the (cached) candidate with itself and pushes it once
    more. Inputs: `model` and `model_blessing` of all runs, and `candidate` of this run. Resolves to nothing where no
    other model was blessed.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; the outputs are `model` and `model_blessing`, one artifact each or none."""
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        others = {
            "model": [model for model in input_dict["model"] if model.id not in candidates],
            "model_blessing": list(input_dict["model_blessing"]),
        }
        resolved = LatestBlessedModelStrategy().resolve_artifacts(store, others) or {}
        return {"model": [], "model_blessing": [], **resolved, "candidate": input_dict["candidate"]}
