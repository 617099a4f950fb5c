"""Probes: what is varied, what is left, and that a file gives back what was saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline import probes
from pipeline.features import Image, Numeric, Vocabulary
from pipeline.probes import Probe

ROW = {"fare": 7.5, "company": b"Blue", "hour": 4, "photo": b"\x89PNG", "tips": 1.0}
FEATURES = (Numeric("fare"), Vocabulary("company", top_k=5), Image("photo", height=2, width=2))
SPEC = {
    "fare": tf.io.VarLenFeature(tf.float32),
    "company": tf.io.VarLenFeature(tf.string),
    "hour": tf.io.FixedLenFeature([], tf.int64),
    "photo": tf.io.VarLenFeature(tf.string),
}


@pytest.fixture
def made(example: Callable[..., bytes]) -> list[Probe]:
    return probes.make([example(ROW), example({**ROW, "fare": 9.0})], SPEC, FEATURES)


def values(probe: Probe) -> dict[str, Any]:
    found = tf.train.Example.FromString(probe.example).features.feature
    return {name: getattr(feature, feature.WhichOneof("kind")).value[0] for name, feature in found.items()}


def test_each_variation_is_named(made: list[Probe]) -> None:
    assert [probe.what for probe in made] == [
        "row 0 of the eval split",
        "row 1 of the eval split",
        "a row without fare",
        "a row without company",
        "a row without photo",
        "a row without any of fare, company, photo",
        "a row with an unseen company",
        "a row with an unseen hour",
    ]


def test_only_what_is_named_is_changed(made: list[Probe]) -> None:
    first = values(made[0])
    assert first == ROW
    assert values(made[1])["fare"] == 9.0
    assert values(made[3]) == {name: value for name, value in first.items() if name != "company"}
    assert values(made[5]) == {"hour": 4, "tips": 1.0}
    assert values(made[6]) == {**first, "company": b"a value that training has not seen"}
    assert values(made[7]) == {**first, "hour": 999_999_937}


def test_what_is_saved_is_read(made: list[Probe], tmp_path: Path) -> None:
    answers = {
        "probability": np.linspace(0, 1, len(made), dtype=np.float32),
        "class": np.array([f"ü{number}".encode() for number in range(len(made))], object),
    }
    probes.save(str(tmp_path / "run"), made, answers)
    again, read = probes.read(tmp_path / "run")
    assert again == made
    assert read["probability"].tolist() == answers["probability"].tolist()
    assert read["class"].tolist() == [f"ü{number}" for number in range(len(made))]


def test_bytes_with_zeros_at_the_end_stay_whole(tmp_path: Path) -> None:
    asked = [Probe("zeros", b"\x00a\x00\x00"), Probe("nothing", b""), Probe("more", b"b")]
    probes.save(str(tmp_path), asked, {"x": np.zeros(3)})
    assert [probe.example for probe in probes.read(tmp_path)[0]] == [b"\x00a\x00\x00", b"", b"b"]
