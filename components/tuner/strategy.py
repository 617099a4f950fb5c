"""The best values of the latest search."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver


class LatestTuned(resolver.ResolverStrategy):
    """TFX's LatestArtifactStrategy that resolves to nothing, not to a failure, where no search was ever run.

    Input and output: `hyperparameters`.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy."""
        found = sorted(input_dict.get("hyperparameters", ()), key=lambda artifact: artifact.id)
        return {"hyperparameters": found[-1:]}
