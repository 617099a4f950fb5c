"""Every figure is the one in TFDV's protos, and every figure on the page is the one in report.json."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.data_checks.distance import common_statistics
from pipeline.features import Image
from pipeline.report import figures
from pipeline.report.sections import data
from pipeline.task import Task

TRAIN = {
    "miles": [0.5, 1.25, None, 4.0, 0.0, 12.5, 3.75, 3.75],
    "fare": [5.0, 7.5, 9.25, 11.0, 6.5, 40.0, 12.0, 8.0],
    "tips": [0.0, 1.0, 2.0, 0.0, 3.0, 1.5, 0.0, 2.5],
    "company": ["a", "b", "a", None, "c", "a", "b", "é"],
    "hour": [1, 5, 5, 23, 0, 12, 12, 7],
    "area": [[1, 2], [3], None, [4, 5, 6], [7], [8], [9], [2]],
    "codes": [[b"x", b"y"], [b"x"], [b"z"], None, [b"x"], [b"y"], [b"y"], [b"x"]],
}
EVAL = {name: values[:5] for name, values in TRAIN.items() if name != "codes"} | {"company": ["d", "d", "a", "b", None]}


@pytest.fixture
def stored(made: Callable[..., Any], rendered: Callable[..., Any]) -> tuple[dict[str, Any], str, Path]:
    run = made({"eval": EVAL, "train": TRAIN}, previous={"fare": [1.0, 2.0], "company": ["a", "z"]})
    return *rendered(run), Path(run.artifacts["StatisticsGen", "statistics"].uri)


def protos(folder: Path) -> dict[tuple[str, str], statistics_pb2.FeatureNameStatistics]:
    """(set, column) -> the statistics, as TFDV loads them."""
    import tensorflow_data_validation as tfdv

    files = {name: folder / f"Split-{name}" for name in ("train", "eval")}
    files["previous"] = folder.parent / "earlier" / "Split-train"
    loaded = {name: tfdv.load_stats_binary(str(path / "FeatureStats.pb")).datasets[0] for name, path in files.items()}
    return {(name, f.path.step[0]): f for name, dataset in loaded.items() for f in dataset.features}


def test_figures_are_those_of_the_protos(stored: tuple[dict[str, Any], str, Path]) -> None:
    part, _, folder = stored
    known = protos(folder)
    assert [card["name"] for card in part["features"]].count("fare") == 1
    compared = set()
    for card in part["features"]:
        for told in card["sets"]:
            proto = known.get((told["set"], card["name"]))
            assert told["there"] == (proto is not None)
            if proto is None:
                continue
            compared.add((told["set"], card["name"]))
            common = common_statistics(proto)
            assert (told["missing"], told["values"]) == (common.num_missing, common.tot_num_values)
            if told["list"]:
                assert told["list"] == {
                    "least": common.min_num_values, "mean": common.avg_num_values, "most": common.max_num_values
                }  # fmt: skip
            if proto.WhichOneof("stats") == "num_stats":
                same_numbers(told, proto.num_stats)
            else:
                assert told["distinct"] == proto.string_stats.unique
                assert told["length"] == proto.string_stats.avg_length
    assert compared == set(known)


def same_numbers(told: dict[str, Any], stats: statistics_pb2.NumericStatistics) -> None:
    numbers = told["numbers"]
    assert (numbers["least"], numbers["most"]) == (stats.min, stats.max)
    assert (numbers["mean"], numbers["deviation"], numbers["median"]) == (stats.mean, stats.std_dev, stats.median)
    assert numbers["zeros"] == stats.num_zeros
    standard, quantiles = stats.histograms
    assert [(b["low"], b["high"], b["rows"]) for b in told["histogram"]] == [
        (b.low_value, b.high_value, b.sample_count) for b in standard.buckets
    ]
    assert [(q["share"], q["value"]) for q in numbers["quantiles"]] == [
        (0.02, quantiles.buckets[0].high_value),
        (0.1, quantiles.buckets[4].high_value),
        (0.9, quantiles.buckets[44].high_value),
        (0.98, quantiles.buckets[48].high_value),
    ]


def test_top_values_are_counted_in_every_set(stored: tuple[dict[str, Any], str, Path]) -> None:
    card = next(card for card in stored[0]["features"] if card["name"] == "company")
    assert [told["set"] for told in card["sets"]] == ["train", "eval", "previous"]
    counts = {top["value"]: [one["rows"] for one in top["sets"]] for top in card["top"]}
    assert counts == {
        "a": [3, 1, 1], "b": [2, 1, 0], "c": [1, 0, 0], "é": [1, 0, 0], "d": [0, 2, 0], "z": [0, 0, 1],
    }  # fmt: skip
    assert [one["share"] for one in card["top"][0]["sets"]] == [3 / 7, 1 / 4, 1 / 2]


def test_kinds(stored: tuple[dict[str, Any], str, Path]) -> None:
    kinds = {card["name"]: (card["kind"], card["type"]) for card in stored[0]["features"]}
    assert kinds == {
        "miles": ("numbers", "FLOAT"),
        "fare": ("numbers", "FLOAT"),
        "tips": ("numbers", "FLOAT"),
        "company": ("categories", "STRING"),
        "hour": ("numbers", "INT"),
        "area": ("lists of numbers", "INT"),
        "codes": ("lists of categories", "STRING"),
    }


def test_integers_stay_integers(stored: tuple[dict[str, Any], str, Path]) -> None:
    card = next(card for card in stored[0]["features"] if card["name"] == "hour")
    assert json.dumps(card["sets"][0]["numbers"]["most"]) == "23"


def test_of_images_only_sizes_are_told(made: Callable[..., Any], rendered: Callable[..., Any], tiny: Task) -> None:
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    photo = statistics.datasets.add(num_examples=9).features.add(type=statistics_pb2.FeatureNameStatistics.BYTES)
    photo.path.step.append("photo")
    photo.bytes_stats.MergeFrom(
        statistics_pb2.BytesStatistics(unique=9, avg_num_bytes=120.5, min_num_bytes=99, max_num_bytes=150)
    )
    photo.bytes_stats.common_stats.num_missing = 2
    task = replace(tiny, features=(*tiny.features, Image("photo", height=8, width=8, channels=1)))
    part, html = rendered(made({"train": statistics}, task=task))
    card = next(card for card in part["features"] if card["name"] == "photo")
    assert (card["kind"], card["sets"][0]["missing"]) == ("images", 2)
    assert card["sets"][0]["bytes"] == {"least": 99, "mean": 120.5, "most": 150}
    assert "bytes, least" in html


class Figures(HTMLParser):
    """The `<data>` elements of a page: path, value and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[list[str]] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "data":
            given = dict(attrs)
            self.found.append([given["data-path"] or "", given["value"] or "", ""])
            self._inside = True

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[-1][2] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "data"


def test_figures_on_the_page_are_those_of_the_report(stored: tuple[dict[str, Any], str, Path]) -> None:
    part, html, _ = stored
    found = Figures(html).found
    assert len(found) > 150
    for path, value, shown in found:
        exact = figures.at({"data": part}, path)
        assert value == ("" if exact is None else str(exact)), path
        assert shown in {kind(exact) for kind in figures.KINDS.values() if kind is not figures.seconds}, path
    assert {f"data.features.{i}.sets.0.missing" for i in range(7)} <= {path for path, _, _ in found}


def test_charts_need_no_drawing(stored: tuple[dict[str, Any], str, Path]) -> None:
    assert data.charts(stored[0]) == {}
    assert stored[1].count("<svg") >= 8
