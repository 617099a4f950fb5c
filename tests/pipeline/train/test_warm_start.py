"""Warm start: which weights a model takes from an earlier one, by what their rows stand for."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.errors import MillraceError
from pipeline.features import Numeric
from pipeline.gates import Evaluation, Gate
from pipeline.labels import Regression, Scale
from pipeline.models.dnn import Dnn
from pipeline.models.linear import Linear
from pipeline.task import Task
from pipeline.train import provenance, warm_start, weights
from pipeline.train.loop import scoring_model
from pipeline.train.warm_start import WarmStart
from pipeline.train.weights import FOLDER

UNIT = Scale()


def folder_of(data: Any) -> str:
    return str(Path(data.transform.transform_savedmodel_dir).parent)


@pytest.fixture
def stored(tiny: Task, tiny_data: Any, tmp_path: Path) -> Callable[..., tuple[keras.Model, str]]:
    """A function: builds a model of the tiny task with random weights and stores them; the model and its folder."""

    def run(task: Task = tiny, data: Any = tiny_data, scale: Scale = UNIT) -> tuple[keras.Model, str]:
        keras.utils.set_random_seed(5)
        model = scoring_model(task)
        random = np.random.default_rng(5)
        model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
        weights.save(weights.describe(task, model, scale, data.transform, "20260101T000000"), tmp_path / FOLDER)
        return model, str(tmp_path / FOLDER)

    return run


def begin(task: Task, data: Any, folder: str, scale: Scale = UNIT) -> tuple[keras.Model, dict[str, Any]]:
    """A new model that starts from a folder of weights, and the report."""
    keras.utils.set_random_seed(99)
    model = scoring_model(task)
    start = WarmStart(folder, task, folder_of(data), scale)
    start(model)
    return model, start.report(model)


def answers(model: keras.Model, task: Task, data: Any, scale: Scale = UNIT) -> np.ndarray:
    inputs = {f.transformed: data.columns[f.transformed] for f in task.features}
    return np.asarray(task.label.answers(model(inputs), scale)[task.label.output])


def table(model: keras.Model, layer: str = "ids_embedding") -> np.ndarray:
    return np.asarray(model.get_layer(layer).get_weights()[0])


def outcome(report: dict[str, Any], weight: str) -> dict[str, Any]:
    (found,) = [entry for entry in report["weights"] if entry["weight"] == weight]
    return found


def test_where_nothing_changed_it_answers_as_the_earlier_model(tiny: Task, tiny_data: Any, stored: Any) -> None:
    earlier, folder = stored()
    model, report = begin(tiny, tiny_data, folder)
    np.testing.assert_allclose(answers(model, tiny, tiny_data), answers(earlier, tiny, tiny_data), atol=1e-6)
    assert (report["from"], report["partly"], report["fresh"], report["left"]) == ("20260101T000000", 0, 0, 0)
    assert report["taken"] == len(model.weights)
    assert report["rows"]["taken"] == report["rows"]["of"] > 0


def test_what_is_stored_reads_back(tiny: Task, tiny_data: Any, stored: Any) -> None:
    earlier, folder = stored()
    found = weights.load(Path(folder))
    assert (found.task, found.run, found.scale) == ("tiny", "20260101T000000", UNIT)
    assert list(found.features) == ["miles", "fare", "company", "hour", "area"]
    for path, variable in provenance.keyed(earlier).items():
        np.testing.assert_array_equal(found.weights[path].value, variable.numpy())
    rows = found.weights["ids_embedding/embeddings"].names.rows
    assert rows is not None
    assert rows[:6] == ["fare=bucket 0/4", "fare=bucket 1/4", "fare=bucket 2/4", "fare=bucket 3/4", "fare=missing",
                        "company=missing"]  # fmt: skip
    assert rows[6].startswith("company=term ")
    assert rows[11:13] == ["company=unknown 0/2", "company=unknown 1/2"]
    assert rows[13] == "hour=value 0" and rows[-1] == "area=missing"
    assert found.weights["hidden_0/kernel"].names.rows[:2] == ["miles", "fare·0"]  # type: ignore[index]
    assert [p for p, weight in found.weights.items() if weight.names.head] == [
        path for path in found.weights if path.split("/")[0] in ("numbers_weight", "ids_weight", "deep_score")
    ]


def test_a_term_keeps_its_vector_where_the_vocabulary_changed(
    tiny: Task, tiny_data: Any, tiny_rows: Any, tiny_spec: Any, transformed: Any, stored: Any
) -> None:
    earlier, folder = stored()
    others = [{**row, "company": {"a": "zz", "b": "b", "c": "yy"}.get(row["company"], row["company"])}
              for row in tiny_rows]  # fmt: skip
    # Many of one term turn the ranks round.
    others += [{**tiny_rows[0], "company": term} for term in ("h", "g", "zz") for _ in range(100)]
    features = tuple(replace(f, top_k=7) if f.name == "company" else f for f in tiny.features)
    task = replace(tiny, features=features)
    data = transformed(others, tiny_spec, task.features, task.label)
    before = {term.decode(): rank for rank, term in enumerate(tiny_data.transform.vocabulary_by_name("company_xf"))}
    now = {term.decode(): rank for rank, term in enumerate(data.transform.vocabulary_by_name("company_xf"))}
    kept = set(before) & set(now)
    assert kept and set(now) - set(before) and any(before[term] != now[term] for term in kept)

    keras.utils.set_random_seed(99)
    initial = table(scoring_model(task))
    model, report = begin(task, data, folder)
    offset = 5  # of the buckets of `fare`
    for layer in ("ids_embedding", "ids_weight"):
        for term in kept:
            np.testing.assert_array_equal(
                table(model, layer)[offset + 1 + now[term]], table(earlier, layer)[offset + 1 + before[term]]
            )
    for term in set(now) - set(before):
        np.testing.assert_array_equal(table(model)[offset + 1 + now[term]], initial[offset + 1 + now[term]])
    # Missing and unknown ones by meaning, and the ids of the features behind a table that has grown by two rows.
    np.testing.assert_array_equal(table(model)[offset], table(earlier)[offset])
    unknown, unknown_before = offset + 1 + len(now), offset + 1 + len(before)
    np.testing.assert_array_equal(
        table(model)[unknown : unknown + 2], table(earlier)[unknown_before : unknown_before + 2]
    )
    np.testing.assert_array_equal(table(model)[-33:], table(earlier)[-33:])
    found = outcome(report, "ids_embedding/embeddings")
    assert found["outcome"] == "partly"
    assert found["of"] - found["rows"] == len(set(now) - set(before))
    assert f"{len(set(now) - set(before))} rows new: company=term " in found["reason"]
    assert f"{len(set(before) - set(now))} rows gone: company=term " in found["reason"]
    assert "rows moved" in found["reason"]


def test_features_in_another_order_answer_alike(tiny: Task, tiny_data: Any, stored: Any) -> None:
    two = replace(tiny, features=(*tiny.features, Numeric("tolls")))
    data = replace(tiny_data, columns={**tiny_data.columns, "tolls_xf": tiny_data.columns["miles_xf"][::-1].copy()})
    earlier, folder = stored(two)
    turned = replace(two, features=two.features[::-1])
    model, report = begin(turned, data, folder)
    assert not np.array_equal(table(model), table(earlier))
    np.testing.assert_allclose(answers(model, turned, data), answers(earlier, two, data), atol=1e-5)
    assert "the features come in another order" in report["notes"]
    assert report["fresh"] == report["partly"] == 0


def test_a_feature_more_and_one_less(tiny: Task, tiny_data: Any, stored: Any) -> None:
    _, folder = stored()
    task = replace(tiny, features=(Numeric("tolls"), *(f for f in tiny.features if f.name != "hour")))
    model, report = begin(task, tiny_data, folder)
    kernel = outcome(report, "hidden_0/kernel")
    assert (kernel["outcome"], kernel["rows"], kernel["of"]) == ("partly", 25, 26)
    assert "1 rows new: tolls" in kernel["reason"] and "8 rows gone: hour·0, hour·1, hour·2, …" in kernel["reason"]
    earlier = weights.load(Path(folder)).weights["hidden_0/kernel"].value
    np.testing.assert_array_equal(model.get_layer("hidden_0").kernel.numpy()[1:18], earlier[:17])
    assert {"feature 'tolls' is new", "feature 'hour' is gone"} <= set(report["notes"])


def test_other_hidden_units_are_fresh_with_both_shapes(tiny: Task, tiny_data: Any, stored: Any) -> None:
    earlier, folder = stored()
    task = replace(tiny, model=replace(tiny.model, hidden_units=(16, 4, 2)))  # type: ignore[type-var, call-arg]
    model, report = begin(task, tiny_data, folder)
    assert outcome(report, "hidden_0/kernel") == {
        "weight": "hidden_0/kernel", "outcome": "fresh", "rows": None, "of": None,
        "reason": "shape was (33, 8), is (33, 16)",
    }  # fmt: skip
    assert outcome(report, "hidden_2/kernel")["reason"] == "the earlier model has none of this name"
    np.testing.assert_array_equal(table(model), table(earlier))


def test_weights_that_only_the_earlier_model_has_are_said(tiny: Task, tiny_data: Any, stored: Any) -> None:
    _, folder = stored()
    _, report = begin(replace(tiny, model=Dnn(hidden_units=(8, 4))), tiny_data, folder)
    left = {entry["weight"] for entry in report["weights"] if entry["outcome"] == "left"}
    assert left == {"ids_weight/embeddings", "numbers_weight/kernel", "numbers_weight/bias"}
    assert report["left"] == 3 and report["fresh"] == 0


@pytest.mark.parametrize("family", [Linear(), Dnn(hidden_units=(8, 4))])
def test_a_regression_answers_alike_where_the_scale_of_the_label_moved(
    tiny: Task, tiny_data: Any, stored: Any, family: Any
) -> None:
    evaluation = Evaluation(metrics=("mae",), gates=(Gate("mae", at_most=1),))
    task = replace(tiny, label=Regression("tips"), model=family, evaluation=evaluation)
    before, now = Scale(3.0, 2.0), Scale(5.0, 4.0)
    earlier, folder = stored(task, scale=before)
    model, report = begin(task, tiny_data, folder, now)
    np.testing.assert_allclose(
        answers(model, task, tiny_data, now), answers(earlier, task, tiny_data, before), rtol=1e-5, atol=1e-5
    )
    assert any("mean was 3, is 5, its deviation was 2, is 4" in note for note in report["notes"])


def test_scores_follow_the_names_of_their_classes() -> None:
    def described(classes: list[str], value: np.ndarray) -> Any:
        kernel = weights.Weight(value, provenance.Names(["x", "y"], classes, True))
        bias = weights.Weight(value[0], provenance.Names(None, classes, True))
        return weights.Stored("t", "", "", "", UNIT, {}, {"scores/kernel": kernel, "scores/bias": bias})

    old = described(["cat", "dog"], np.array([[1.0, 2.0], [3.0, 4.0]]))
    new = described(["dog", "eel", "cat"], np.zeros((2, 3)))
    values, transfers = warm_start.carry(old, new)
    np.testing.assert_array_equal(values["scores/kernel"], [[2.0, 0.0, 1.0], [4.0, 0.0, 3.0]])
    np.testing.assert_array_equal(values["scores/bias"], [2.0, 0.0, 1.0])
    assert [(t.outcome, t.reason) for t in transfers] == [("partly", "1 columns new: eel; 2 columns moved")] * 2


def test_another_tasks_model_is_refused(tiny: Task, tiny_data: Any, stored: Any) -> None:
    _, folder = stored()
    with pytest.raises(MillraceError, match=r"another task's. Expected: 'other'. Received: 'tiny'"):
        begin(replace(tiny, name="other"), tiny_data, folder)


def test_a_model_without_weights_and_a_damaged_one_are_said(tiny: Task, tiny_data: Any, stored: Any) -> None:
    _, folder = stored()
    (Path(folder) / "weights.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(MillraceError, match="stored weights are damaged"):
        begin(tiny, tiny_data, folder)
    (Path(folder) / "manifest.json").unlink()
    with pytest.raises(MillraceError, match="the model has no stored weights"):
        begin(tiny, tiny_data, folder)


def test_the_report_is_written(tiny: Task, tiny_data: Any, stored: Any, tmp_path: Path) -> None:
    _, folder = stored()
    _, report = begin(tiny, tiny_data, folder)
    warm_start.write(report, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "warm_start.json").read_text()) == report
