"""Answers in a bucket: where they are, what goes last, and what is not replaced."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.predict import bucket as buckets
from pipeline.predict import run
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
