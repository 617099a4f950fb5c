"""The model that a candidate is compared with."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

from pipeline import mirrored
from pipeline.push import history
from pipeline.push.versions import Places


class ServedBaseline(resolver.ResolverStrategy):
    """The model that is served, or that was served before it where that is the candidate itself.

        tfx.dsl.Resolver(strategy_class=ServedBaseline, config={"watched": folder}, model=…, model_blessing=…, candidate=…)

    - After a run that changed nothing, the candidate (cached) is what is served: it is compared with what it was compared
      with before, so that the Evaluator is cached too.
    - A model that was rolled back is no baseline; nor is one that was blessed and never pushed, as the serving check or TF
      Lite stopped it.
    - Before anything was pushed with a history, it is the latest blessed model other than the candidate.

    Inputs: `model` and `model_blessing` of all runs, and `candidate` of this run. Outputs: `model`, one or none, and
    `model_blessing`.
    """

    def __init__(self, watched: str) -> None:
        """Takes the folder that a server watches; see pipeline/push/versions.py."""
        self._places = Places(mirrored.local(watched))

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy."""
        candidate = input_dict["candidate"]
        present = history.served_models(self._places)
        if not present:
            return _latest_blessed(store, input_dict)
        own = {artifact.uri for artifact in candidate}
        earlier = next((uri for uri in present if uri not in own), None)
        models = [model for model in input_dict.get("model", ()) if model.uri == earlier][:1]
        known = {model.id for model in models}
        blessings = [
            blessing
            for blessing in input_dict.get("model_blessing", ())
            if blessing.get_int_custom_property("current_model_id") in known
        ]
        return {"model": models, "model_blessing": blessings[-1:], "candidate": candidate}


def _latest_blessed(
    store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
) -> dict[str, list[types.Artifact]]:
    """TFX's LatestBlessedModelStrategy without the candidate."""
    candidates = {artifact.id for artifact in input_dict["candidate"]}
    others = {
        "model": [model for model in input_dict.get("model", ()) if model.id not in candidates],
        "model_blessing": list(input_dict.get("model_blessing", ())),
    }
    resolved = LatestBlessedModelStrategy().resolve_artifacts(store, others) or {}
    return {"model": [], "model_blessing": [], **resolved, "candidate": input_dict["candidate"]}
