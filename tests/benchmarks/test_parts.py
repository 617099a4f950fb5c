"""What a part took: read from its process, put side by side, refused where it failed."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import parts
from benchmarks.measure import Measured
from benchmarks.part import Part
from benchmarks.parts import Taken, disturbance, middle, run_part, table
from benchmarks.sides import SideError


def taken(scale: float, **nodes: float) -> Taken:
    return Taken(
        nodes=nodes,
        import_mb=1000,
        peak_mb=1000 + 100 * scale,
        process_seconds=10 * scale,
        other_cpu_seconds=1.0,
        examples=Path("examples"),
    )


STOCK = [taken(2, StatisticsGen=12.0), taken(4, StatisticsGen=14.0)]
OURS = [taken(1, StatisticsGen=2.0, DataGate=0.5)]


def test_sums_and_medians() -> None:
    assert (OURS[0].seconds, OURS[0].grown_mb) == (2.5, 100.0)
    assert middle(STOCK, lambda run: run.seconds) == 13.0
    assert middle(STOCK, lambda run: run.nodes.get("DataGate")) is None
    assert disturbance([*STOCK, *OURS], cores=2) == 0.05


def test_table_compares_the_first_with_the_last() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table({"stock": STOCK, "ours": OURS}, 1000, "title"))
    lines = [line.split("│")[1:5] for line in console.export_text().splitlines() if "│" in line]
    cells = {name.strip(): [cell.strip() for cell in others] for name, *others in lines}
    assert cells["StatisticsGen"] == ["13.00 s", "2.00 s", "6.50"]
    assert cells["DataGate"] == ["-", "0.50 s", ""]
    assert cells["all of them"] == ["13.00 s", "2.50 s", "5.20"]
    assert cells["rows a second"] == ["77", "400", ""]
    assert cells["… of the imports"] == ["1,000", "1,000", ""]
    assert cells["… beyond them"] == ["300", "100", "3.00"]


def test_a_part_is_read_from_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(command: list[str], *, cwd: Path, stdout: Path, log: Path) -> Measured:
        assert command[2:4] == ["benchmarks.part", "ours-ingest"]
        out = Path(command[command.index("--out") + 1])
        out.write_text(json.dumps({"nodes": {"A": 1.5}, "import_mb": 1, "peak_mb": 3, "examples": "rows"}))
        return Measured(0, 5.0, 4.0, 0.5, 3.0, 3.0)

    monkeypatch.setattr(parts, "measure", fake)
    found = run_part(Part.OURS_INGEST, Path("data.csv"), tmp_path / "work")
    assert (found.seconds, found.grown_mb, found.process_seconds, found.other_cpu_seconds) == (1.5, 2, 5.0, 0.5)
    assert found.examples == Path("rows")


def test_a_failed_part_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(command: list[str], *, cwd: Path, stdout: Path, log: Path) -> Measured:
        log.write_text("the disk is full\n")
        return Measured(1, 5.0, 4.0, 0.5, 3.0, 3.0)

    monkeypatch.setattr(parts, "measure", fake)
    with pytest.raises(SideError, match=r"stock-ingest failed with exit code 1:\nthe disk is full"):
        run_part(Part.STOCK_INGEST, Path("data"), tmp_path / "work")
