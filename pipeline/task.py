"""Task: the question, the data, the features, the model and the rules, in one frozen object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.checks import Checks
from pipeline.errors import TaskError, raise_all
from pipeline.features.base import Feature
from pipeline.gates import Evaluation
from pipeline.labels import Label
from pipeline.lite import Lite
from pipeline.models.base import Model
from pipeline.push.settings import Push
from pipeline.rows import RowRules
from pipeline.serving_check import ServingCheck
from pipeline.sources import BigQuery, Source
from pipeline.splits import HashSplit, SpanSplit, Split, TimeSplit
from pipeline.training import Training
from pipeline.tuning import Tuning


@dataclass(frozen=True)
class Task:
    """Everything that is particular to one model; all else derives from it.

    Attributes:
      name: of the task and of the served model: lower case, digits, underscores; the same as its file's.
      question: what the model answers, in a sentence.
      source: where the rows are.
      split: how rows are divided.
      rows: what each row must be, beyond the schema, and how many bad ones may be.
      checks: what the data as a whole is compared with, and how severe each finding is.
      label: what is predicted.
      features: what it is predicted from.
      model: family and settings.
      training: steps, batches, optimizer.
      evaluation: metrics, slices, gates.
      tuning: the search for better settings that `--tune` runs, or None.
      lite: what is converted to TF Lite, and how good it must be; nothing by default.
      serving: what the model must do in a server before it is pushed.
      push: how many versions stay, and where a model goes beside the served folder.
      sensitive: columns of the data, read or not, of which a report shows counts only and no value.

    Raises:
      TaskError: the parts contradict each other; all problems are listed at once.
    """

    name: str
    question: str
    source: Source
    label: Label
    features: tuple[Feature, ...]
    model: Model
    evaluation: Evaluation
    split: Split = field(default_factory=HashSplit)
    rows: RowRules = field(default_factory=RowRules)
    checks: Checks = field(default_factory=Checks)
    training: Training = field(default_factory=Training)
    tuning: Tuning | None = None
    lite: Lite = field(default_factory=Lite)
    serving: ServingCheck = field(default_factory=ServingCheck)
    push: Push = field(default_factory=Push)
    sensitive: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        problems = []
        if not (self.name.isidentifier() and self.name == self.name.lower()):
            problems.append(f"name: expected lower case letters, digits and _. Received: name={self.name!r}")
        if not self.features:
            problems.append("features: expected at least one.")
        problems += _unfit_names(self.sensitive)
        names = [feature.name for feature in self.features]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"features: {name!r} is given more than once.")
        if self.label.name in names:
            problems.append(f"features: the label {self.label.name!r} is among them, and is not known when serving.")
        if isinstance(self.split, SpanSplit) and not self.source.spans:
            problems.append(f"split: SpanSplit needs {{SPAN}} or a date in the path. Received: {self.source.path!r}")
        if isinstance(self.source, BigQuery) and not isinstance(self.split, HashSplit):
            problems.append(f"split: a query's rows are split by hash. Received: {type(self.split).__name__}")
        if isinstance(self.source, BigQuery) and self.rows.columns:
            problems.append("rows: a query's rows are not quarantined: expected the rules in its WHERE.")
        if isinstance(self.source, BigQuery) and isinstance(self.split, HashSplit) and len(self.split.by) > 1:
            problems.append(f"split: a query's rows are split by one column at most. Received: by={self.split.by}")
        problems += self.model.problems(self.features)
        problems += self.training.unfit(self.label.classes)
        problems += self.evaluation.unfit(type(self.label).__name__, self.label.measures, self.label.classes)
        problems += self.tuning.problems(model=self.model, training=self.training) if self.tuning else []
        raise_all(TaskError, f"task {self.name!r} contradicts itself:", problems)

    @property
    def columns(self) -> Mapping[str, str]:
        """The raw columns that the task reads, sorted, each with what it is: a feature, of the label, a slice."""
        roles = {column: "a slice" for cross in self.evaluation.crosses for column in cross}
        roles |= {feature.name: "a feature" for feature in self.features}
        roles |= {column: "read by the label" for column in self.label.columns if column not in roles}
        roles |= {column: role for column, role in self.rows.columns.items() if column not in roles}
        if isinstance(self.split, HashSplit):
            roles |= {column: "what rows are split by" for column in self.split.by if column not in roles}
        if isinstance(self.split, TimeSplit) and self.split.column not in roles:
            roles[self.split.column] = "the time that rows are split by"
        roles[self.label.name] = "the label"
        return dict(sorted(roles.items()))

    @property
    def accepts(self) -> dict[str, tuple[str, ...]]:
        """Column -> the schema types that the task takes there; a column that it does not name takes any."""
        labels: dict[str, tuple[str, ...]] = dict.fromkeys(self.label.columns, self.label.accepts)
        return labels | {feature.name: feature.accepts for feature in self.features}


def _unfit_names(sensitive: Any) -> list[str]:
    """What is wrong with the names of sensitive columns; a text in place of a tuple would hide its letters only."""
    if not isinstance(sensitive, tuple):
        example = sensitive if isinstance(sensitive, str) else "email"
        return [f"sensitive: expected a tuple, such as sensitive=({example!r},). Received: {sensitive!r}"]
    wrong = [name for name in sensitive if not isinstance(name, str) or not name]
    twice = sorted({name for name in sensitive if name not in wrong and sensitive.count(name) > 1})
    return [
        *(f"sensitive: expected names of columns. Received: {name!r}" for name in wrong),
        *(f"sensitive: {name!r} is given more than once." for name in twice),
    ]
