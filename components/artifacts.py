"""Artifact types of our own. A type's name is its import path, which Kubeflow Pipelines needs to find it again."""

from tfx.types import artifact

FORCED = "forced"
"""Custom property of a ModelBlessing: 1 where a gate failed, and the blessing was given for a reason of the user's."""
VERDICTS = "verdicts"
"""Custom property of a ModelBlessing: how many verdicts it rests on."""


class Quarantine(artifact.Artifact):
    """The rows that were kept out, each with its reason, and the account of all rows: see pipeline/ingest/account.py."""

    TYPE_NAME = "components.Quarantine"


class Findings(artifact.Artifact):
    """What the checks on the data found, `findings.json`."""

    TYPE_NAME = "components.Findings"


class DataVerdict(artifact.Artifact):
    """The data gate has opened; on a stop there is none."""

    TYPE_NAME = "components.DataVerdict"


class LiteModel(artifact.Artifact):
    """The model in the formats of TF Lite and the report on them, see components/lite/executor.py."""

    TYPE_NAME = "components.LiteModel"
    FILES = "lite"
    """The folder of those that may be pushed."""
    BLESSED = "blessed"
    """Custom property: 1 where no format keeps the model from being pushed."""
