import json

import numpy as np
import pytest

from serving.errors import Code, ServingError
from serving.rest import json_write


def f32(*values) -> np.ndarray:
    return np.array(values, np.float32)


def strings(*values) -> np.ndarray:
    return np.array(values, object)


class TestNumbers:
    def test_float32_has_the_digits_that_bring_it_back(self):
        text = json_write.columns({"y": f32(0.1, 1, 0.793123, 1e-7, 3e38, 16777216)})
        written = text.removeprefix(b'{"outputs":[').removesuffix(b"]}").split(b",")
        assert written[:3] == [b"0.1", b"1.0", b"0.793123"]
        assert [np.float32(token.decode()) for token in written] == f32(0.1, 1, 0.793123, 1e-7, 3e38, 16777216).tolist()
        assert all(b"." in token or b"e" in token for token in written)

    def test_every_float32_comes_back(self):
        values = np.random.default_rng(0).integers(0, 2**32, 5000, np.uint32).view(np.float32)
        values = values[np.isfinite(values)]
        for text in (json_write.columns({"y": values}), json_write.predictions({"y": values})):
            (back,) = json.loads(text).values()
            assert np.array_equal(np.array(back, np.float32), values)
        rows = json.loads(json_write.predictions({"y": values, "z": values}))["predictions"]
        assert np.array_equal(np.array([row["z"] for row in rows], np.float32), values)

    def test_not_a_number_and_infinities_are_tokens(self):
        values = f32(np.nan, np.inf, -np.inf, 0.5)
        assert json_write.columns({"y": values}) == b'{"outputs":[NaN,Infinity,-Infinity,0.5]}'
        assert json_write.predictions({"y": values}) == b'{"predictions":[NaN,Infinity,-Infinity,0.5]}'
        two = json_write.predictions({"a": values[:1], "b": np.array([[np.inf, 1.0]], np.float64)})
        assert two == b'{"predictions":[{"a":NaN,"b":[Infinity,1.0]}]}'

    def test_integers_and_booleans(self):
        assert json_write.columns({"y": np.array([2**63 - 1, -1])}) == b'{"outputs":[9223372036854775807,-1]}'
        assert json_write.columns({"y": np.array([[True], [False]])}) == b'{"outputs":[[true],[false]]}'
        assert json_write.columns({"y": np.array([2**64 - 1], np.uint64)}) == b'{"outputs":[18446744073709551615]}'

    def test_types_that_json_does_not_carry(self):
        with pytest.raises(ServingError, match="Failed to write JSON value for tensor type: float16") as error:
            json_write.columns({"y": np.array([1.0], np.float16)})
        assert error.value.code is Code.INVALID_ARGUMENT


class TestStrings:
    def test_text(self):
        text = json_write.columns({"y": strings('é"\\\n\x01'.encode(), b"")})
        assert json.loads(text) == {"outputs": ['é"\\\n\x01', ""]}

    def test_bytes_where_the_name_says_so(self):
        text = json_write.predictions({"image_bytes": strings(b"\xff\x00", b"a")})
        assert text == b'{"predictions":[{"b64":"/wA="},{"b64":"YQ=="}]}'

    def test_what_is_no_utf8_is_copied(self):
        assert json_write.columns({"y": strings(b"a\xff")}) == b'{"outputs":["a\xff"]}'


class TestForms:
    def test_several_outputs_are_objects(self):
        outputs = {"a": f32(1, 2), "b": np.array([[1, 2], [3, 4]]), "c": np.array([[b"x"], [b"y"]], object)}
        assert json.loads(json_write.predictions(outputs)) == {
            "predictions": [{"a": 1.0, "b": [1, 2], "c": ["x"]}, {"a": 2.0, "b": [3, 4], "c": ["y"]}]
        }
        assert json.loads(json_write.columns(outputs)) == {
            "outputs": {"a": [1.0, 2.0], "b": [[1, 2], [3, 4]], "c": [["x"], ["y"]]}
        }

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (2, 3), (2, 3, 4), (1, 1, 1, 1), (2, 0, 2)])
    @pytest.mark.parametrize("fill", ["plain", "nan", "text"])
    def test_any_shape(self, shape, fill):
        array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
        if fill == "nan" and array.size:
            array.flat[-1] = np.inf
        if fill == "text":
            array = array.astype(bytes).astype(object)
        plain = np.char.decode(array.astype(bytes)).tolist() if fill == "text" else array.tolist()
        assert json.loads(json_write.columns({"y": array})) == {"outputs": plain}
        assert json.loads(json_write.predictions({"y": array})) == {"predictions": plain}
        two = json.loads(json_write.predictions({"x": array, "y": array}))["predictions"]
        assert two == [{"x": row, "y": row} for row in plain]

    def test_a_transposed_array(self):
        array = np.arange(6, dtype=np.float32).reshape(2, 3).T
        assert json.loads(json_write.predictions({"x": array, "y": array}))["predictions"][1]["y"] == [1.0, 4.0]

    def test_a_scalar_has_no_rows(self):
        scalar = np.array(1.0, np.float32)
        assert json_write.columns({"y": scalar}) == b'{"outputs":1.0}'
        with pytest.raises(ServingError, match="Tensor name: y has no shape information"):
            json_write.predictions({"y": scalar})

    def test_outputs_with_other_numbers_of_rows(self):
        with pytest.raises(ServingError, match="Tensor name: b has inconsistent batch size: 1 expecting: 2"):
            json_write.predictions({"a": f32(1, 2), "b": f32(1)})

    def test_names_are_quoted(self):
        name = 'a"%b'
        got = json.loads(json_write.predictions({name: f32(1), "c": f32(2)}))
        assert got == {"predictions": [{name: 1.0, "c": 2.0}]}


def test_classifications_and_regressions():
    assert json_write.classifications([[("cat", 0.1), ("é", float(np.float32(0.9)))], []]) == (
        '{"results":[[["cat",0.1],["é",0.9]],[]]}'.encode()
    )
    assert json_write.regressions([1.0, float(np.float32(0.1)), float("nan")]) == b'{"results":[1.0,0.1,NaN]}'
