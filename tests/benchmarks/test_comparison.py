"""Medians, ratios and the table's lines, from runs made up here."""

import dataclasses
import io

from rich.console import Console

from benchmarks.comparison import Row, compare, disturbance, table
from benchmarks.quality import summary
from benchmarks.sides import Run


def run(side: str, scale: float, **nodes: float) -> Run:
    return Run(
        side=side,
        run_seconds=50 * scale,
        import_seconds=10 * scale if side == "stock" else None,
        process_seconds=60 * scale,
        cpu_seconds=50 * scale,
        other_cpu_seconds=0.0,
        peak_mb=2000 * scale,
        peak_pss_mb=1500 * scale,
        nodes=nodes,
        metrics={"auc": 0.9, "example_count": 4966.0},
    )


STOCK = [run("stock", 1.0, Transform=15.0, Baseline=0.01), run("stock", 1.2, Transform=17.0, Baseline=0.03)]
OURS = [run("ours", 0.5, Transform=4.0, DataGate=0.5, Baseline=0.02)]


def lines() -> dict[str, Row]:
    return {row.name: row for row in compare(STOCK, OURS)}


def test_medians_and_ratio() -> None:
    transform = lines()["Transform"]
    assert (transform.stock, transform.ours, transform.ratio) == (16.0, 4.0, 0.25)
    total = lines()["run, with imports"]
    assert (total.stock, total.ours, total.ratio) == (55.0, 25.0, 25 / 55)
    total = lines()["run, after imports"]
    assert (total.stock, total.ours, total.ratio) == (44.0, None, None)
    assert lines()["whole process"].ours == 30.0
    assert lines()["peak memory, MiB"].stock == 2200.0


def test_sum_of_nodes_is_summed_within_a_run() -> None:
    total = lines()["sum of nodes"]
    assert total.stock == (15.01 + 17.03) / 2
    assert total.ours == 4.52


def test_a_node_of_one_side_has_no_ratio() -> None:
    gate = lines()["DataGate"]
    assert (gate.stock, gate.ours, gate.ratio) == (None, 0.5, None)


def test_noise_and_metrics_have_no_ratio() -> None:
    assert lines()["Baseline"].ratio is None
    assert lines()["auc"].ratio is None


def test_nodes_come_in_the_order_of_a_run() -> None:
    rows = compare([run("stock", 1, Pusher=1, Extra=1, ExampleGen=1)], OURS)
    names = [row.name for row in rows if row.section == "node"]
    assert names == ["ExampleGen", "DataGate", "Transform", "Baseline", "Pusher", "Extra"]


def test_table_shows_units_and_gaps() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    floor = [dataclasses.replace(run("floor", 0.1), peak_mb=1.0)]
    console.print(table(compare(STOCK, OURS, floor), "title"))
    lines = [line.split("│")[1:6] for line in console.export_text().splitlines() if "│" in line]
    cells = {name.strip(): [cell.strip() for cell in others] for name, *others in lines}
    assert cells["Transform"] == ["16.00 s", "4.00 s", "0.25", "-"]
    assert cells["DataGate"] == ["-", "0.50 s", "", "-"]
    assert cells["peak memory, MiB"] == ["2,200", "1,000", "0.45", "1"]
    assert cells["auc"] == ["0.9000", "0.9000", "", "0.9000"]
    assert cells["example_count"] == ["4,966", "4,966", "", "4,966"]


def test_disturbance_is_the_worst_runs_share_of_the_machine() -> None:
    quiet = run("ours", 1.0)
    busy = dataclasses.replace(quiet, other_cpu_seconds=30.0)
    assert disturbance([quiet], cores=2) == 0.0
    assert disturbance([quiet, busy], cores=2) == 30.0 / 120.0


def test_summary_over_seeds() -> None:
    assert summary([0.9290, 0.9300]) == "0.9295 (0.9290 to 0.9300)"
    assert summary([4966.0, 4966.0]) == "4,966"
    assert summary([]) == "-"
