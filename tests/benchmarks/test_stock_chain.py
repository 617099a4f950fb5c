"""The template's ExampleGen: it splits by itself, or takes the splits that there are."""

import json
from pathlib import Path

import pytest

from benchmarks.stock_chain import template


@pytest.mark.parametrize(
    ("folders", "splits"),
    [((), {"single_split": "*"}), (("train", "eval"), {"train": "train/*", "eval": "eval/*"})],
)
def test_what_is_read(tmp_path: Path, folders: tuple[str, ...], splits: dict[str, str]) -> None:
    for folder in folders:
        (tmp_path / "data" / folder).mkdir(parents=True)
    pipeline = template(tmp_path / "data", tmp_path, steps=1, batch_size=1, seed=0, slices=False)
    first = pipeline.components[0]
    found = json.loads(first.exec_properties["input_config"])["splits"]
    assert (first.id, {split["name"]: split["pattern"] for split in found}) == ("CsvExampleGen", splits)
