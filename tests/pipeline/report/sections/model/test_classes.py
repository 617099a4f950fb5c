"""Figures of a label of classes against scikit-learn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from pipeline import evaluation
from pipeline.labels import MultiClass
from pipeline.report.sections.model import classes

LABEL = MultiClass("kind", classes=("cat", "dog", "<b>cow</b>"))


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, probabilities of a candidate and of a baseline."""
    random = np.random.default_rng(2)
    target = random.integers(0, 3, 200)
    candidate, baseline = (random.dirichlet([1, 1, 1], 200) for _ in range(2))
    candidate[np.arange(200), target] += 0.5
    return target[:, None].astype(np.float32), candidate.astype(np.float32), baseline.astype(np.float32)


@pytest.fixture(scope="module")
def found(evaluate: Callable[..., str], with_label: Callable[..., Any], scored: Any) -> dict[str, Any]:
    uri = evaluate(with_label(LABEL, "accuracy"), *scored)
    plots = (evaluation.plots(uri, model) for model in (None, evaluation.BASELINE))
    return classes.collect(LABEL.names, evaluation.by_class(uri, LABEL), *plots)


def test_the_matrix_is_scikit_learns(found: dict[str, Any], scored: Any) -> None:
    expected = confusion_matrix(scored[0].ravel(), scored[1].argmax(1))
    assert [[cell["rows"] for cell in row["cells"]] for row in found["matrix"]] == expected.tolist()
    assert [row["rows"] for row in found["matrix"]] == expected.sum(1).tolist()
    for row in found["matrix"]:
        assert sum(cell["share"] for cell in row["cells"]) == pytest.approx(1)


def test_the_most_frequent_mistake_is_first(found: dict[str, Any], scored: Any) -> None:
    matrix = confusion_matrix(scored[0].ravel(), scored[1].argmax(1))
    np.fill_diagonal(matrix, 0)
    true, chosen = np.unravel_index(matrix.argmax(), matrix.shape)
    first = found["pairs"][0]
    assert (first["true"], first["chosen"], first["rows"]) == (LABEL.names[true], LABEL.names[chosen], matrix.max())
    assert sum(pair["rows"] for pair in found["pairs"]) == matrix.sum()


def test_the_weakest_class_is_first(found: dict[str, Any], scored: Any) -> None:
    target, given = scored[0].ravel(), scored[1].argmax(1)
    f1, recall = f1_score(target, given, average=None), recall_score(target, scored[2].argmax(1), average=None)
    assert [own["name"] for own in found["classes"]] == [LABEL.names[i] for i in np.argsort(f1)]
    for own in found["classes"]:
        assert own["f1"] == pytest.approx(f1[LABEL.names.index(own["name"])])
        assert own["baseline_recall"] == pytest.approx(recall[LABEL.names.index(own["name"])])


def test_many_classes_have_no_matrix_but_pairs() -> None:
    names = [str(i) for i in range(40)]
    entries = [{"actualClassId": 3, "predictedClassId": 39, "numWeightedExamples": 2.0}]
    found = classes.collect(
        names, {}, {"multiClassConfusionMatrixAtThresholds": {"matrices": [{"entries": entries}]}}, {}
    )
    assert found["matrix"] == []
    assert found["pairs"] == [{"true": "3", "chosen": "39", "rows": 2.0, "share": 1.0}]
    assert not found["compared"]


def test_a_label_of_any_number_of_classes_has_no_pairs() -> None:
    found = classes.collect(["a"], {"a": {"f1": 0.5, "example_count": 3.0}}, {}, {})
    assert (found["pairs"], found["classes"][0]["f1"]) == (None, 0.5)
