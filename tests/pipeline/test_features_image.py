"""Images: through a real TensorFlow Transform analysis, in a TF1 session, and augmented."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.features import Augment, Image
from pipeline.features.image import declared_pixels, decode
from pipeline.transform_graph import TransformGraph
from tests.bad_inputs import pictures

SAME = pictures.picture(height=6, width=8)
ROWS = [
    {"photo": SAME},
    {"photo": None},
    {"photo": b""},
    {"photo": pictures.picture("JPEG", height=6, width=8)},
    {"photo": pictures.picture(height=1, width=1)},
    {"photo": pictures.picture(mode="RGBA", height=60, width=20)},
]
FEATURES = {
    "colours": Image("photo", height=6, width=8),
    "grey": Image("photo", height=6, width=8, channels=1),
    "small": Image("photo", height=3, width=3),
    "fit": Image("photo", height=4, width=4, resize="fit"),
}
SPEC = {"photo": tf.io.VarLenFeature(tf.string)}


@pytest.fixture(scope="module")
def graph(analyse: Any) -> TransformGraph:
    return TransformGraph(
        analyse(ROWS, SPEC, lambda inputs: {k: f.preprocess(inputs["photo"]) for k, f in FEATURES.items()})
    )


@pytest.fixture(scope="module")
def images(graph: TransformGraph, example: Callable[..., bytes]) -> dict[str, np.ndarray]:
    stored = graph(tf.io.parse_example([example(row) for row in ROWS], SPEC))
    return {key: feature.model_input(stored[key]).numpy() for key, feature in FEATURES.items()}


def test_one_string_a_row_of_the_pixels_and_nothing_else(graph: TransformGraph, example: Callable[..., bytes]) -> None:
    stored = graph(tf.io.parse_example([example(row) for row in ROWS], SPEC))
    for key, feature in FEATURES.items():
        assert stored[key].shape == (len(ROWS), 1)
        height, width, channels = feature.shape
        assert {len(value) for value in stored[key].numpy().ravel()} == {height * width * channels}
    assert stored["colours"].numpy()[0, 0] == pictures.pixels(6, 8).tobytes()


def test_an_image_of_the_right_size_keeps_its_pixels(images: dict[str, np.ndarray]) -> None:
    assert images["colours"].dtype == np.uint8
    assert images["colours"].shape == (len(ROWS), 6, 8, 3)
    np.testing.assert_array_equal(images["colours"][0], pictures.pixels(6, 8))


def test_grey_is_what_libpng_makes_of_colours(images: dict[str, np.ndarray]) -> None:
    expected = pictures.pixels(6, 8) @ np.array([0.299, 0.587, 0.114])
    assert images["grey"].shape == (len(ROWS), 6, 8, 1)
    # libpng weighs by the Rec. 709 primaries, Pillow by those of Rec. 601: alike within a tenth of the range.
    assert np.abs(images["grey"][0, :, :, 0] - expected).mean() < 26


def test_a_missing_and_an_empty_image_are_black(images: dict[str, np.ndarray]) -> None:
    for key in FEATURES:
        assert not images[key][1:3].any()


def test_one_pixel_fills_the_image(images: dict[str, np.ndarray]) -> None:
    (pixel,) = np.unique(images["colours"][4].reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(pixel, pictures.pixels(1, 1)[0, 0])


def test_shrinking_smooths(images: dict[str, np.ndarray]) -> None:
    resized = tf.image.resize(pictures.pixels(6, 8), [3, 3], antialias=True)
    np.testing.assert_array_equal(images["small"][0], np.round(resized.numpy()).astype(np.uint8))
    assert images["small"][0].std() < 0.8 * pictures.pixels(6, 8).std()


def test_fit_keeps_the_proportions_and_leaves_the_rest_black(images: dict[str, np.ndarray]) -> None:
    tall = images["fit"][5]
    assert (tall[:, 1] > 0).all()
    assert not tall[:, [0, 2, 3]].any()


@pytest.mark.parametrize("name", pictures.WHOLE)
def test_what_ingestion_passes_decodes(name: str) -> None:
    encoded = pictures.WHOLE[name]
    for channels in (1, 3):
        stored = Image("photo", height=4, width=4, channels=channels).preprocess(tf.constant([encoded]))
        assert len(stored.numpy()[0, 0]) == 16 * channels


@pytest.mark.parametrize("name", [*pictures.NO_IMAGES, *pictures.DAMAGED, *pictures.TOO_LARGE])
def test_a_request_with_what_is_no_image_is_an_error(name: str) -> None:
    encoded = {**pictures.NO_IMAGES, **pictures.DAMAGED, **pictures.TOO_LARGE}[name]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(encoded), 3, 50_000_000)


def test_sixteen_bits_become_eight() -> None:
    assert decode(tf.constant(pictures.deep_png()), 1, 100).numpy().ravel().tolist() == [0, 1, 128, 255]


def test_cmyk_becomes_colours_and_not_grey() -> None:
    encoded = tf.constant(pictures.picture("JPEG", "CMYK"))
    assert decode(encoded, 3, 100).shape == (6, 8, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(encoded, 1, 100)


def test_the_header_says_how_many_pixels() -> None:
    assert int(declared_pixels(tf.constant(pictures.picture("JPEG", height=5, width=7)))) == 35
    assert int(declared_pixels(tf.constant(pictures.TOO_LARGE["a PNG that claims 20,000 x 20,000"]))) == 4e8
    assert len(pictures.bomb()) < 500_000


def test_a_session_answers_as_eager_execution() -> None:
    """TF Serving's path: a session of TensorFlow 1 on the graph."""
    feature = FEATURES["small"]
    expected = feature.model_input(feature.preprocess(tf.constant([SAME, b""]))).numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        column = tf.compat.v1.placeholder(tf.string, [None])
        made = session.run(feature.model_input(feature.preprocess(column)), {column: [SAME, b""]})
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": 0, "width": 8}, "at least 1"),
        ({"channels": 4}, "1 or 3"),
        ({"resize": "crop"}, "'stretch' or 'fit'"),
        ({"max_pixels": 0}, "max_pixels"),
        ({"augment": Augment(shift=9)}, "sides of at least 9"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Image("photo", **({"height": 8, "width": 8} | settings))


def test_what_a_model_reads() -> None:
    feature = FEATURES["grey"]
    assert (feature.modality, feature.dtype, feature.shape, feature.cardinality) == ("image", "uint8", (6, 8, 1), None)
    assert feature.accepts == ("BYTES",)


def test_a_png_of_the_pixels_gives_the_pixels_back() -> None:
    encoded = io.BytesIO()
    digits = np.arange(64, dtype=np.uint8).reshape(8, 8)
    PIL.Image.fromarray(digits).save(encoded, "PNG")
    feature = Image("photo", height=8, width=8, channels=1)
    made = feature.model_input(feature.preprocess(tf.constant([encoded.getvalue()])))
    np.testing.assert_array_equal(made.numpy()[0, :, :, 0], digits)
