"""Answers in a bucket: where they are, what goes last, and what is not replaced."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pipeline.errors import UsageError
from pipeline.predict import bucket as buckets
from pipeline.predict import run, staging
from pipeline.predict.request import Request
from pipeline.remote import transfer

Ask = Callable[..., Request]
TRIPS = "id,x,n,t\n01,32,,\n02,64,4,a\n03,0,,zebra\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(TRIPS)
    return path


def _answers(url: str) -> list[float]:
    found = (transfer.read(url) or b"").decode()
    return [float(row["probability"]) for row in csv.DictReader(found.splitlines())]


def test_a_file_with_its_errors_and_its_account(ask: Ask, data: Path, bucket: str) -> None:
    account = run.predict(ask(data, f"{bucket}/out/tips.csv"))
    assert transfer.names(f"{bucket}/out") == ["tips.csv", "tips.csv.account.json", "tips.csv.errors.csv"]
    assert _answers(f"{bucket}/out/tips.csv") == [0.25, 0.78125, 0.0]
    assert json.loads(transfer.read(f"{bucket}/out/tips.csv.account.json") or b"") == account
    assert (account["out"], account["errors_at"]) == (f"{bucket}/out/tips.csv", f"{bucket}/out/tips.csv.errors.csv")


def test_a_folder_of_shards(ask: Ask, data: Path, bucket: str) -> None:
    account = run.predict(ask(data, f"{bucket}/tips/"))
    assert transfer.names(f"{bucket}/tips") == ["account.json", "errors", "part-00000-of-00001.parquet"]
    assert (account["out"], account["errors_at"]) == (f"{bucket}/tips", f"{bucket}/tips/errors")


@pytest.mark.parametrize("name", ["tips/", "tips.csv"])
def test_what_is_there_is_replaced_only_where_that_is_asked(ask: Ask, data: Path, bucket: str, name: str) -> None:
    run.predict(ask(data, f"{bucket}/{name}"))
    with pytest.raises(UsageError, match=r"tips.* is there already\. Next: give another --out, or add --overwrite"):
        run.predict(ask(data, f"{bucket}/{name}"))
    data.write_text("id,x,n,t\n09,64,4,a\n")
    assert run.predict(ask(data, f"{bucket}/{name}", overwrite=True))["rows"] == 1


def test_something_else_is_never_replaced(ask: Ask, data: Path, bucket: str) -> None:
    transfer.write(f"{bucket}/tips/salaries.csv", b"1")
    with pytest.raises(UsageError, match=r"Expected nothing else in .*tips\. Received: salaries\.csv"):
        run.predict(ask(data, f"{bucket}/tips/", overwrite=True))
    with pytest.raises(UsageError, match="salaries"):
        buckets.put_folder(data.parent, f"{bucket}/tips")
    assert transfer.read(f"{bucket}/tips/salaries.csv") == b"1"


@pytest.mark.parametrize("name", ["in/", "in/tips.csv", "in/deep/"])
def test_answers_do_not_go_among_the_rows(ask: Ask, bucket: str, name: str) -> None:
    transfer.write(f"{bucket}/in/1.csv", TRIPS.encode())
    with pytest.raises(UsageError, match="is among the data"):
        run.predict(ask(f"{bucket}/in", f"{bucket}/{name}"))


@pytest.mark.parametrize("name", ["tips/", "tips.csv"])
def test_workers_that_see_no_folder_of_this_machine(
    ask: Ask, tmp_path: Path, bucket: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part, rows in enumerate((40, 30, 10)):
        lines = "".join(f"{part}{row:02d},{row},{row % 10},a\n" for row in range(rows) if row not in (13, 14))
        transfer.write(f"{bucket}/data/{part}.csv", f"id,x,n,t\n{lines}9,much,,\n".encode())
    seen: list[staging.Stage] = []
    staged = staging.staged

    @contextmanager
    def watched(*given: Any) -> Iterator[staging.Stage]:
        with staged(*given) as stage:
            seen.append(stage)
            yield stage

    monkeypatch.setattr(staging, "staged", watched)
    accounts = [
        run.predict(ask(f"{bucket}/data", f"{bucket}/{place}/{name}", max_errors=1.0, beam_args=[f"--runner={runner}"]))
        for place, runner in (("here", "FnApiRunner"), ("there", "BundleBasedDirectRunner"))
    ]
    told = [{k: v for k, v in a.items() if k not in ("started", "seconds", "out", "errors_at")} for a in accounts]
    assert told[0] == told[1]
    assert (told[1]["rows"], told[1]["errors"]) == (79, 3)
    assert told[1]["model"] == ask("").model
    here, there = (_content(f"{bucket}/{place}", tmp_path / place) for place in ("here", "there"))
    del here[_account(here)], there[_account(there)]
    assert here == there
    local, shared = seen
    assert (local.at, local.job.model) == (str(local.folder), ask("").model)
    assert shared.at.startswith(f"{bucket}/there/{name.rstrip('/')}.partial/")
    assert shared.job.model == f"{shared.at}/model"
    assert transfer.names(shared.at) == []


def _content(url: str, to: Path) -> dict[str, bytes]:
    transfer.download(url, to)
    return {str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()}


def _account(files: dict[str, bytes]) -> str:
    return next(name for name in files if name.endswith("account.json"))


WORKER = """
import pickle, sys
from pipeline.predict import run, staging
with open(sys.argv[1], "rb") as stream:
    units, job, folder = pickle.load(stream)
for unit in units:
    for _ in range(2):  # tried again, as Beam may
        for manifest in run._answer(unit, job, folder):
            run._note(manifest, folder)
"""


def test_a_worker_has_nothing_but_what_is_sent(
    ask: Ask, data: Path, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process, each file twice: it counts once."""
    expected = run.predict(ask(data, f"{bucket}/here/tips.csv"))

    def elsewhere(request: Request, stage: Any, units: Any, wait: Any) -> Any:
        (tmp_path / "sent").write_bytes(cloudpickle.dumps((units, stage.job, stage.at)))
        subprocess.run([sys.executable, "-c", WORKER, str(tmp_path / "sent")], check=True, capture_output=True)
        return [stage.part(stage.manifest(unit.index)) for unit in units]

    monkeypatch.setattr(run, "_parts", elsewhere)
    found = run.predict(ask(data, f"{bucket}/there/tips.csv", beam_args=["--runner=FlinkRunner"]))
    assert (found["rows"], found["answered"]) == (expected["rows"], expected["answered"])
    assert _answers(f"{bucket}/there/tips.csv") == _answers(f"{bucket}/here/tips.csv") == [0.25, 0.78125, 0.0]
