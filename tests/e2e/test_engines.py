"""What jobs of one Beam runner made is found by a run with another."""

from pathlib import Path

from e2e_support import run


def test_a_run_in_threads_finds_what_beam_jobs_made(tmp_path: Path) -> None:
    to = ("--task", "taxi_tips", "--root", str(tmp_path), "--to", "StatisticsGen")
    first = run(*to, "--beam-runner", "direct")
    assert first.code == 0, first.text
    assert [first.record["nodes"][node]["state"] for node in ("ExampleGen", "StatisticsGen")] == ["done", "done"]
    second = run(*to)
    assert [second.record["nodes"][node]["state"] for node in ("ExampleGen", "StatisticsGen")] == ["cached", "cached"]
