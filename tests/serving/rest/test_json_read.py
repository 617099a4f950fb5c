import base64
import json

import numpy as np
import pytest
import tensorflow as tf

from serving.errors import Code, ServingError
from serving.rest import json_read
from serving.session import Signature, Tensor


def signature(**inputs) -> Signature:
    """Of (dtype, *shape) by name."""
    tensors = {name: Tensor(f"{name}:0", dtype, tuple(shape)) for name, (dtype, *shape) in inputs.items()}
    return Signature("serving_default", "tensorflow/serving/predict", tensors, {})


ONE = signature(x=(tf.float32, None))
TWO = signature(a=(tf.float32, None), b=(tf.string, None))


def arrays(body: str | bytes, asked: Signature = ONE):
    return json_read.arrays(json_read.parse(body.encode() if isinstance(body, str) else body), asked)


def refused(body, asked=ONE) -> str:
    with pytest.raises(ServingError) as error:
        arrays(body, asked)
    assert error.value.code is Code.INVALID_ARGUMENT
    return error.value.message


class TestRows:
    def test_values_are_the_only_input(self):
        x = arrays('{"instances": [1, 2.5, -3e2]}')["x"]
        assert x.dtype == np.float32
        assert x.tolist() == [1.0, 2.5, -300.0]

    def test_objects_name_their_inputs(self):
        got = arrays('{"instances": [{"a": 1.5, "b": "x"}, {"b": "é", "a": NaN}]}', TWO)
        assert got["a"][0] == 1.5 and np.isnan(got["a"][1])
        assert got["b"].tolist() == [b"x", "é".encode()]

    def test_the_only_input_may_be_named(self):
        assert arrays('{"instances": [{"x": 1.0}, {"x": 2.0}]}')["x"].tolist() == [1.0, 2.0]

    def test_rows_of_tensors(self):
        asked = signature(x=(tf.int32, None, 2, 2))
        assert arrays('{"instances": [[[1,2],[3,4]], [[5,6],[7,8]]]}', asked)["x"].shape == (2, 2, 2)

    def test_base64_rows_are_bytes_and_not_objects(self):
        asked = signature(examples=(tf.string, None))
        body = json.dumps({"instances": [{"b64": base64.b64encode(b"\x00\xff").decode()}, "text"]})
        assert arrays(body, asked)["examples"].tolist() == [b"\x00\xff", b"text"]

    @pytest.mark.parametrize(
        "body, expected",
        [
            ('{"instances": []}', "No values in 'instances' array"),
            ('{"instances": 1.0}', "Expecting 'instances' to be an list/array"),
            ('{"instances": [1.0], "inputs": [1.0]}', "expecting only one of 'inputs' or 'instances' keys to exist"),
            ('{"instance": [1.0]}', "Missing 'inputs' or 'instances' key. Did you mean 'instances' in place of 'instance'?"),
            ('{"instances": [1.0, {"x": 1.0}]}', "Expecting value/list but got object at item 1 of input list"),
            ('{"instances": [{"x": 1.0}, 1.0]}', "Expecting object but got list at item 1 of input list"),
            (
                '{"instances": [1.0, "a"]}',
                "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
                'JSON Value: "a" Type: String is not of expected type: float (at [1])',
            ),
            ('{"instances": [1.0, null]}', "JSON Value: null Type: Null is not of expected type: float"),
            ('{"instances": [true]}', "JSON Value: true Type: True is not of expected type: float"),
            ('{"instances": [1.0, [2.0]]}', "Encountered list at unexpected level: 1 expected < 1 (at [1])"),
            ('{"instances": [[1.0]]}', "Input x: wrong shape. Expected: [-1]. Received: [1,1]"),
        ],
    )  # fmt: skip
    def test_refused(self, body, expected):
        assert expected in refused(body)

    def test_an_unknown_input_is_named_with_its_row_and_the_nearest(self):
        asked = signature(fare=(tf.float32, None), miles=(tf.float32, None))
        message = refused('{"instances": [{"fare": 1.0, "miles": 2.0}, {"fair": 1.0, "miles": 1.0}]}', asked)
        assert "Failed to process element: 1 key: fair of 'instances' list." in message
        assert "does not have named input: fair. Did you mean 'fare' in place of 'fair'?" in message

    def test_a_missing_input_is_named_with_its_row(self):
        message = refused('{"instances": [{"a": 1.0, "b": ""}, {"a": 1.0}]}', TWO)
        assert message.startswith("Failed to process element: 1 of 'instances' list. JSON object: {\"a\": 1.0}")
        assert message.endswith("keys must be equal to: a,b. Missing: b")

    def test_a_plain_list_for_several_inputs(self):
        assert "instances is a plain list" in refused('{"instances": [1.0]}', TWO)

    def test_ragged_rows_name_the_row(self):
        asked = signature(a=(tf.float32, None, None))
        message = refused('{"instances": [{"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"a": [1.0]}]}', asked)
        assert "Failed to process element: 2 key: a of 'instances' list." in message
        assert "unexpected size: 1 at level: 1 expected size: 2" in message

    def test_bad_base64_names_the_row(self):
        message = refused('{"instances": [{"a": 1.0, "b": "x"}, {"a": 1.0, "b": {"b64": "!"}}]}', TWO)
        assert "Failed to process element: 1 key: b" in message and "Unable to base64 decode" in message
        message = refused('{"instances": [{"a": 1.0, "b": {"b64": "QQ==", "more": 1}}]}', TWO)
        assert "not formatted correctly for base64 data" in message


class TestColumns:
    def test_one_tensor_needs_no_name(self):
        assert arrays('{"inputs": [1, 2]}')["x"].tolist() == [1.0, 2.0]

    def test_tensors_by_name_and_more_keys_are_passed_over_as_at_tf_serving(self):
        got = arrays('{"inputs": {"a": [1], "b": ["x"], "c": [1]}}', TWO)
        assert got.keys() == {"a", "b"}

    def test_a_scalar(self):
        assert arrays('{"inputs": 3}', signature(x=(tf.int64,)))["x"].shape == ()
        assert arrays('{"inputs": {"b64": "QUI="}}', signature(x=(tf.string,)))["x"].item() == b"AB"

    def test_no_rows(self):
        assert arrays('{"inputs": []}')["x"].shape == (0,)
        assert arrays('{"inputs": [[], []]}', signature(x=(tf.float32, None, None)))["x"].shape == (2, 0)

    def test_missing_input(self):
        message = refused('{"inputs": {"a": [1.0], "xyz": ["x"]}}', TWO)
        assert message == "Missing named input: b in 'inputs' object."
        message = refused('{"inputs": {"fair": [1.0]}}', signature(fare=(tf.float32, None)))
        assert message == "Missing named input: fare in 'inputs' object. Did you mean 'fare' in place of 'fair'?"

    def test_plain_list_for_several(self):
        assert "inputs is a plain value/list, but expecting an object" in refused('{"inputs": [1.0]}', TWO)

    @pytest.mark.parametrize(
        "body, expected",
        [
            ('{"inputs": [[1.0, 2.0], [3.0]]}', "unexpected size: 1 at level: 1 expected size: 2 (at [1])"),
            ('{"inputs": [[1.0, 2.0], 3.0]}', "JSON Value: 3.0 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
            ('{"inputs": [[1.0, 2.0], [3.0, [4.0]]]}', "Encountered list at unexpected level: 2 expected < 2 (at [1, 1])"),
            ('{"inputs": [[1.0, 2.0], [3.0, "4"]]}', 'JSON Value: "4" Type: String is not of expected type: float (at [1, 1])'),
            ('{"inputs": [1.0]}', "Expected: [-1,-1]. Received: [1]"),
        ],
    )  # fmt: skip
    def test_ragged(self, body, expected):
        assert expected in refused(body, signature(x=(tf.float32, None, None)))


class TestTypes:
    def test_integers_are_strict(self):
        asked = signature(x=(tf.int64, None))
        assert arrays('{"inputs": [-9223372036854775808, 9223372036854775807]}', asked)["x"].tolist() == [
            -(2**63),
            2**63 - 1,
        ]
        assert "JSON Value: 1.0 Type: Number is not of expected type: int64 (at [0])" in refused(
            '{"inputs": [1.0]}', asked
        )
        assert "is not of expected type: int64 (at [1])" in refused('{"inputs": [1, 9223372036854775808]}', asked)
        assert "is not of expected type: int64" in refused('{"inputs": [NaN]}', asked)

    @pytest.mark.parametrize(
        "dtype, largest",
        [(tf.int8, 127), (tf.uint8, 255), (tf.int16, 32767), (tf.int32, 2**31 - 1), (tf.uint32, 2**32 - 1), (tf.uint64, 2**64 - 1)],
    )  # fmt: skip
    def test_what_a_type_can_not_hold_is_refused(self, dtype, largest):
        asked = signature(x=(dtype, None))
        assert arrays(f'{{"inputs": [{largest}]}}', asked)["x"].tolist() == [largest]
        assert "is not of expected type" in refused(f'{{"inputs": [0, {largest + 1}]}}', asked)

    @pytest.mark.filterwarnings("ignore:overflow encountered in cast")
    def test_floats_take_integers_and_the_tokens(self):
        got = arrays('{"inputs": [1, NaN, Infinity, -Infinity, 1e39]}')["x"].tolist()
        assert got[0] == 1.0 and np.isnan(got[1]) and got[2:] == [np.inf, -np.inf, np.inf]

    def test_booleans(self):
        asked = signature(x=(tf.bool, None))
        assert arrays('{"inputs": [true, false]}', asked)["x"].tolist() == [True, False]
        assert "JSON Value: 1 Type: Number is not of expected type: bool" in refused('{"inputs": [1]}', asked)

    def test_strings_take_text_and_base64_only(self):
        asked = signature(x=(tf.string, None))
        assert arrays('{"inputs": ["", "\\u0000é", {"b64": "AA"}]}', asked)["x"].tolist() == [b"", b"\0\xc3\xa9", b"\0"]
        assert "JSON Value: 1 Type: Number is not of expected type: string" in refused('{"inputs": [1]}', asked)

    def test_types_that_json_does_not_carry(self):
        with pytest.raises(ServingError) as error:
            arrays('{"inputs": [1.0]}', signature(x=(tf.float16, None)))
        assert error.value.code is Code.UNIMPLEMENTED
        assert error.value.message == "Conversion of JSON Value: [1.0] to type: half"


class TestDocument:
    @pytest.mark.parametrize(
        "body, expected",
        [
            (b"", "JSON Parse error: The document is empty"),
            (b"[1]", "JSON Value: [1] Is not object"),
            (b'{"inputs": [1.0]', "JSON Parse error: EOF"),
            (b'{"inputs": [1.0]} {', "JSON Parse error: trailing characters"),
            (b'{"inputs": ["\xff"]}', "JSON Parse error: invalid unicode code point"),
            (b'{"inputs": [' + b"[" * 100_000, "JSON Parse error: recursion limit exceeded"),
            (b'{"inputs": [1.0], "inputs": [2.0]}', 'key "inputs" is there twice in one object'),
            (b'{"instances": [{"x": 1.0}, {"x": 1.0, "x": 2.0}]}', 'key "x" is there twice'),
            (b'{"signature_name": 1, "inputs": [1.0]}', "'signature_name' key must be a string value"),
        ],
    )
    def test_refused(self, body, expected):
        with pytest.raises(ServingError) as error:
            json_read.signature_name(json_read.parse(body))
        assert expected in error.value.message
        assert error.value.code is Code.INVALID_ARGUMENT

    def test_colons_in_strings_are_no_keys(self):
        assert json_read.parse(b'{"inputs": ["a:b", {"b64": "QQ=="}, ":"], "k": {"x:y": 1}}')["k"] == {"x:y": 1}

    def test_a_byte_order_mark_is_passed_over(self):
        assert json_read.parse(b'\xef\xbb\xbf{"inputs": 1}') == {"inputs": 1}

    def test_messages_show_256_characters_of_a_request(self):
        message = refused(json.dumps({"inputs": {"x": "long " * 1000}}))
        assert len(message) < 350


def test_deep_lists_of_any_rank_are_refused():
    asked = Signature("s", "", {"x": Tensor("x:0", tf.float32, None)}, {})
    body = '{"inputs": ' + "[" * 150 + "1.0" + "]" * 150 + "}"
    assert "wrong shape. Expected: [?]" in refused(body, asked)
