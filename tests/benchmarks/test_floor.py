"""The plain script on rows made up here: its features, and a whole job on the bundled rows."""

import json
from pathlib import Path

import numpy as np

from benchmarks import floor
from benchmarks.rows import BUNDLED_ROWS, taxi_folder


def test_features_are_made_by_the_training_rows(tmp_path: Path) -> None:
    table = floor.read(taxi_folder(BUNDLED_ROWS, tmp_path, 0))
    in_train = np.arange(table.num_rows) % 3 > 0
    columns, target = floor.prepared(table, in_train)
    numbers, codes = columns["numbers"], columns["codes"]
    assert numbers.shape == (BUNDLED_ROWS, 3) and codes.shape == (BUNDLED_ROWS, 9)
    assert np.allclose(numbers[in_train].mean(0), 0, atol=1e-4) and np.allclose(numbers[in_train].std(0), 1, atol=1e-4)
    assert codes[:, :4].max() == 10 and codes[:, 4].max() < 22 and codes[:, 5].max() < 105
    paid = np.array(table["payment_type"].to_pylist())
    names, counts = np.unique(paid[in_train], return_counts=True)
    assert set(codes[paid == names[counts.argmax()], 4]) == {0}
    tipped = np.asarray(table["tips"], float) > 0.2 * np.asarray(table["fare"], float)
    assert np.array_equal(target, tipped)


def test_the_job_learns(tmp_path: Path) -> None:
    out = tmp_path / "floor.json"
    floor.main(taxi_folder(BUNDLED_ROWS, tmp_path, 0), out, steps=300, batch_size=100)
    found = json.loads(out.read_text())
    assert set(found["nodes"]) == {"ExampleGen", "Transform", "Trainer", "Evaluator"}
    assert found["metrics"]["auc"] > 0.9 and found["slices"] == 24
    assert 4_800 < found["metrics"]["example_count"] < 5_200
    assert out.with_suffix(".keras").exists()
