"""Task: the question, the data, the features, the model and the rules, in one frozen object."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import TaskError, raise_all
from pipeline.features import Feature
from pipeline.gates import Evaluation
from pipeline.labels import Label
from pipeline.models.base import Model
from pipeline.sources import Csv, HashSplit
from pipeline.training import Training


@dataclass(frozen=True)
class Task:
    """Everything that is particular to one model; all else derives from it.

    Attributes:
      name: of the task and of the served model: lower case, digits, underscores; the same as its file's.
      question: what the model answers, in a sentence.
      source: where the rows are.
      split: how rows are divided.
      label: what is predicted.
      features: what it is predicted from.
      model: family and settings.
      training: steps, batches, optimizer.
      evaluation: metrics, slices, gates.

    Raises:
      TaskError: the parts contradict each other; all problems are listed at once.
    """

    name: str
    question: str
    source: Csv
    label: Label
    features: tuple[Feature, ...]
    model: Model
    evaluation: Evaluation
    split: HashSplit = field(default_factory=HashSplit)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        problems = []
        if not (self.name.isidentifier() and self.name == self.name.lower()):
            problems.append(f"name: expected lower case letters, digits and _. Received: name={self.name!r}")
        if not self.features:
            problems.append("features: expected at least one.")
        names = [feature.name for feature in self.features]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"features: {name!r} is given more than once.")
        if self.label.name in names:
            problems.append(f"features: the label {self.label.name!r} is among them, and is not known when serving.")
        raise_all(TaskError, f"task {self.name!r} contradicts itself:", problems)

    @property
    def columns(self) -> Mapping[str, str]:
        """The raw columns that the task reads, sorted, each with what it is: a feature, of the label, a slice."""
        roles = {column: "a slice" for cross in self.evaluation.crosses for column in cross}
        roles |= {feature.name: "a feature" for feature in self.features}
        roles |= {column: "read by the label" for column in self.label.columns if column not in roles}
        roles[self.label.name] = "the label"
        return dict(sorted(roles.items()))
