"""Our part is cut out of the task's own pipeline, with all that it waits for and nothing after it."""

from pathlib import Path

import pytest

from benchmarks.part import _LEFT_OUT, PARTS, Part
from benchmarks.rows import BUNDLED_ROWS, taxi_folder


@pytest.mark.parametrize("part", list(Part))
def test_nodes_of_a_part(tmp_path: Path, part: Part) -> None:
    folder = taxi_folder(BUNDLED_ROWS, tmp_path, seed=0)
    nodes = {node.id for node in PARTS[part](folder / "data.csv" if "ours" in part else folder, tmp_path).components}
    assert _LEFT_OUT[part] < nodes
    counted = nodes - _LEFT_OUT[part]
    if "ingest" in part:
        assert counted == {"ExampleGen"}
    elif part is Part.STOCK_VALIDATION:
        assert counted == {"StatisticsGen", "ExampleValidator"}
    else:
        assert {"StatisticsGen", "ExampleValidator", "DataChecks", "DataGate"} <= counted
        assert not counted & {"Transform", "Trainer"}
