"""The settings of TF Lite."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import TaskError, UsageError
from pipeline.lite import Lite
from pipeline.overrides import apply
from pipeline.task import Task


def test_nothing_is_converted_unless_asked(tiny: Task) -> None:
    assert tiny.lite.formats == ()
    assert apply(tiny, ['lite.formats=["float16","int8"]']).lite == Lite(formats=("float16", "int8"))


def test_each_format_has_its_limit_and_one_setting_is_for_all() -> None:
    rules = Lite(formats=("float32", "int8"))
    assert (rules.limit("float32"), rules.limit("int8")) == (1e-4, 0.3)
    assert replace(rules, max_difference=0.0).limit("int8") == 0.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"formats": ("float61",)}, "unknown format 'float61'.*float16"),
        ({"formats": ("int8", "int8")}, "each once"),
        ({"formats": ("int8",), "may_fail": ("float16",)}, "some of the formats"),
        ({"max_difference": float("nan")}, "max_difference: expected a number of at least 0. Received"),
        ({"max_metric_loss": -0.1}, "max_metric_loss=-0.1"),
        ({"min_agreement": 98}, r"a share in \[0, 1\]. Received: min_agreement=98"),
        ({"calibration_rows": 0}, "calibration_rows: expected at least 1"),
        ({"evaluation_rows": -1}, "evaluation_rows: expected at least 1"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        Lite(**settings)


@pytest.mark.parametrize("override", ['lite.formats=["float61"]', "lite.min_agreement=2", "lite.rows=3"])
def test_overrides_are_checked(tiny: Task, override: str) -> None:
    with pytest.raises(UsageError, match=f"--set {override.partition('=')[0]}"):
        apply(tiny, [override])
