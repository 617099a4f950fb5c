"""Kinds of text: the same numbers as pyarrow's CSV conversion, and what a number would lose."""

import io

import pyarrow as pa
import pyarrow.csv as pcsv
import pytest

from pipeline.ingest.kinds import classify, kind_of

KINDS = {
    "integers": ["0", "7", "-7", "-0", " 7 ", "\t7", "9223372036854775807", "-9223372036854775808"],
    "padded": ["007", "02139", "-01", "00", "00000000000000000000000000000001"],
    "huge": ["9223372036854775808", "-9223372036854775809", "1" + "0" * 38],
    "whole": ["5.0", "-5.00", "1."],
    "reals": ["1.5", "+1", ".5", "-.5", "1e5", "1E+5", "1e-400", "00.5", "3.4e38"],
    "nan": ["nan", "NaN", "-nan", " NAN"],
    "infinite": ["inf", "-inf", "Infinity", "+INF", "1e39", "1e400"],
    "texts": [
        "Cash",
        "\n7",
        "0x1F",
        "1,000",
        "1_0",
        "-",
        "1e",
        "1.0f",
        "2024-01-31",
        "1" * 40,
        "1" * 5000,
        "\u0661",
        "true",
    ],
    "blank": ["", " ", "\t "],
}
ALL = [(text, kind) for kind, texts in KINDS.items() for text in texts]


@pytest.mark.parametrize(("text", "kind"), ALL, ids=[repr(text[:20]) for text, _ in ALL])
def test_the_kind_of_a_text(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_all_kinds_at_once_are_told_apart() -> None:
    groups = {group.kind: group for group in classify(pa.array([text for text, _ in ALL]))}
    assert list(groups) == ["blank", "integers", "padded", "huge", "whole", "reals", "infinite", "nan", "texts"]
    for kind, group in groups.items():
        assert [text for (text, _), chosen in zip(ALL, group.chosen, strict=True) if chosen] == KINDS[kind]
    assert groups["integers"].numbers is not None
    assert groups["integers"].numbers.to_pylist()[:4] == [0, 7, -7, 0]
    assert groups["reals"].numbers is not None
    assert groups["reals"].numbers.to_pylist()[:3] == [1.5, 1.0, 0.5]


@pytest.mark.parametrize(
    ("kinds", "type_"),
    [(("integers",), pa.int64()), (("integers", "huge", "whole", "reals", "nan", "infinite"), pa.float64())],
)
def test_a_number_is_what_pyarrow_converts(kinds: tuple[str, ...], type_: pa.DataType) -> None:
    convert = pcsv.ConvertOptions(column_types={"a": type_}, null_values=[])
    for text, kind in ALL:
        try:
            pcsv.read_csv(io.BytesIO(f'a,b\n"{text}",x\n'.encode()), convert_options=convert)
            converted = True
        except pa.ArrowInvalid:
            converted = False
        if kind == "padded" or text in {"0x1F", "1" * 40, "1" * 5000}:  # a number there, but one that loses something
            continue
        assert converted == (kind in kinds), text
    assert kind_of("nan(1)") == "nan"


def test_bytes_that_are_no_utf8_are_texts() -> None:
    raw = pa.array([b"caf\xe9", b"7"])
    texts = pa.compute.cast(raw, options=pa.compute.CastOptions(target_type=pa.string(), allow_invalid_utf8=True))
    assert {group.kind: group.chosen.tolist() for group in classify(texts)} == {
        "integers": [False, True],
        "texts": [True, False],
    }
