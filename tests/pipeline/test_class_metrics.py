"""Counts of classes: how they merge, and what they say at their edges; whole evaluations are in test_evaluation_run."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.class_metrics import Tally, _StepsFn, area, merged_counts
from pipeline.curves import Counts, step_of
from pipeline.labels import MultiClass, MultiLabel

ONE = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], np.float32)
TRUE = [0, 1, 1, 1]


def tally(targets: list[int] | np.ndarray, probabilities: np.ndarray, threshold: float | None = None) -> Tally:
    made = Tally.empty(probabilities.shape[1])
    for wanted, row in zip(targets, probabilities, strict=True):
        made.add(np.atleast_1d(np.asarray(wanted, np.float32)), row, 1.0, threshold)
    return made


def test_of_equal_probabilities_the_first_class_is_chosen_and_ranked_first() -> None:
    counted = tally(TRUE, ONE)
    assert counted.ranks.tolist() == [2, 2, 0]
    assert counted.counts.tolist() == [[1, 3, 0], [2, 1, 1], [1, 1, 0]]
    assert counted.value("accuracy") == 0.5
    assert counted.value("top_2_accuracy") == counted.value("top_3_accuracy") == counted.value("top_5_accuracy") == 1.0
    constant = tally([0, 1, 2, 2], np.full((4, 3), 1 / 3, np.float32))
    assert [constant.value(f"top_{k}_accuracy") for k in (2, 3)] == [0.5, 1.0]


def test_macro_averages_are_over_the_classes_that_are_there() -> None:
    counted = tally(TRUE, ONE)
    assert counted.value("macro_f1") == pytest.approx(f1_score(TRUE, ONE.argmax(1), average="macro", zero_division=0))
    assert counted.value("macro_precision") == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert counted.value("macro_recall") == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert counted.value("lowest_recall") == pytest.approx(1 / 3)
    two = tally([0, 1], ONE[[0, 2]])
    assert (two.value("macro_recall"), two.value("lowest_recall")) == (1.0, 1.0)


def test_parts_merge_to_the_whole() -> None:
    whole, parts = tally(TRUE, ONE), [tally(TRUE[:1], ONE[:1]), Tally.empty(3), tally(TRUE[1:], ONE[1:])]
    merged = parts[0].merged(parts[1]).merged(parts[2])
    for name in MultiClass.measures - {"micro_auc", "macro_auc", "example_count"}:
        assert merged.value(name) == pytest.approx(whole.value(name)), name


def test_weights_count_as_rows() -> None:
    weighted = Tally.empty(3)
    weighted.add(np.array([0.0]), ONE[0], 3.0, None)
    weighted.add(np.array([1.0]), ONE[1], 1.0, None)
    assert weighted.value("accuracy") == 0.75
    assert weighted.value("cross_entropy") == pytest.approx(-(3 * math.log(0.7) + math.log(0.3)) / 4)


def test_a_sure_and_wrong_answer_costs_no_more_than_it_does_in_keras() -> None:
    assert tally([1], np.array([[1.0, 0.0]], np.float32)).value("cross_entropy") == pytest.approx(-math.log(1e-7))
    both = tally(np.array([[0, 1]]), np.array([[1.0, 0.0]], np.float32), 0.5)
    assert both.value("cross_entropy") == pytest.approx(-math.log(1e-7))


def test_no_row_and_a_row_of_an_unknown_label_are_not_a_number() -> None:
    unknown = tally([0, math.nan], ONE[:2])
    for name in MultiClass.measures - {"micro_auc", "macro_auc", "example_count"}:
        assert math.isnan(Tally.empty(3).value(name)), name
        assert math.isnan(unknown.value(name)), name
    several = tally(np.array([[1, math.nan, 0]]), ONE[:1], 0.5)
    for name in MultiLabel.measures - {"micro_auc", "macro_auc", "example_count"}:
        assert math.isnan(several.value(name)), name


def test_any_number_of_classes_with_a_threshold() -> None:
    wanted = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0]])
    counted = tally(wanted, ONE, 0.25)
    decided = ONE > 0.25
    assert counted.value("exact_match") == pytest.approx((decided == wanted).all(1).mean())
    assert counted.value("hamming_accuracy") == pytest.approx((decided == wanted).mean())
    for kind in ("micro", "macro"):
        assert counted.value(f"{kind}_f1") == pytest.approx(f1_score(wanted, decided, average=kind, zero_division=0))
    parts = counted.by_class()
    assert parts["example_count"].tolist() == [2, 2, 1]
    assert parts["recall"].tolist() == [1, 1, 1]
    assert tally(np.zeros((2, 3)), ONE[:2], 0.9).value("micro_f1") == 0.0


def steps_of(wanted: np.ndarray, probabilities: np.ndarray) -> list[Counts]:
    made: list[Counts] = [{} for _ in range(wanted.shape[1])]
    for row, answers in zip(wanted, probabilities, strict=True):
        for counts, has, probability in zip(made, row, answers, strict=True):
            counts.setdefault(step_of(float(probability)), [0.0, 0.0])[int(has)] += 1.0
    return made


def test_areas_of_all_pairs_and_of_each_class() -> None:
    random = np.random.default_rng(0)
    wanted = random.random((500, 3)) < (0.5, 0.1, 0.0)
    probabilities = np.round(random.random((500, 3)) * 0.6 + wanted * 0.2 + 0.1, 3)
    steps = steps_of(wanted, probabilities)
    assert area("micro_auc", steps) == pytest.approx(roc_auc_score(wanted.ravel(), probabilities.ravel()), abs=1e-9)
    expected = np.mean([roc_auc_score(wanted[:, i], probabilities[:, i]) for i in (0, 1)])
    assert area("macro_auc", steps) == pytest.approx(expected, abs=1e-9)
    halves = [steps_of(wanted[:200], probabilities[:200]), steps_of(wanted[200:], probabilities[200:])]
    assert [merged_counts(pair) for pair in zip(*halves, strict=True)] == steps


def test_areas_that_are_not_defined() -> None:
    assert math.isnan(area("macro_auc", [{}, {}]))
    assert math.isnan(area("micro_auc", [{0: [2.0, 0.0]}, {}]))
    assert math.isnan(area("micro_auc", None))


def test_an_unknown_label_spoils_the_areas_it_is_merged_with() -> None:
    combiner = _StepsFn(lambda row: row, 2, None)  # type: ignore[arg-type]
    good = combiner.add_input(combiner.create_accumulator(), (np.array([1.0]), np.array([0.2, 0.8]), 1.0))
    assert good == [{step_of(0.2): [1.0, 0.0]}, {step_of(0.8): [0.0, 1.0]}]
    assert combiner.merge_accumulators([good, combiner.create_accumulator()]) == good
    assert combiner.merge_accumulators([]) == [{}, {}]
    bad = combiner.add_input(combiner.create_accumulator(), (np.array([math.nan]), np.array([0.2, 0.8]), 1.0))
    assert bad is None
    assert combiner.merge_accumulators([good, bad]) is None
    assert combiner.add_input(bad, (np.array([1.0]), np.array([0.2, 0.8]), 1.0)) is None
