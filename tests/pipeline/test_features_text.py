"""Text: terms, vocabulary, padding and cutting, through a real TensorFlow Transform analysis."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.features import Text

TRAIN = ("good good good film", "good film, bad film", "Bad!", "", None, "?!...", "the film")
# Counts: film 4, good 4, bad 2, the 1; of equal counts the later term in the alphabet comes first.
FEATURES = {
    feature.name: feature
    for feature in (
        Text("terms", vocabulary=10, length=4),
        Text("few", vocabulary=2, length=3, oov_buckets=3),
        Text("frequent", vocabulary=10, length=3, min_frequency=2),
        Text("last", vocabulary=10, length=2, truncate="start"),
        Text("pairs", vocabulary=10, length=8, ngrams=(1, 2)),
        Text("only_pairs", vocabulary=10, length=3, ngrams=(2, 2)),
    )
}
SPEC = {name: tf.io.VarLenFeature(tf.string) for name in FEATURES}

Apply = Callable[..., dict[str, list[list[int]]]]


@pytest.fixture(scope="module")
def apply(analyse: Any, example: Any) -> Apply:
    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {name: feature.preprocess(inputs[name]) for name, feature in FEATURES.items()}

    layer = analyse(
        [dict.fromkeys(FEATURES, text) for text in TRAIN], SPEC, preprocessing_fn
    ).transform_features_layer()

    def run(*texts: Any) -> dict[str, list[list[int]]]:
        made = layer(tf.io.parse_example([example(dict.fromkeys(FEATURES, text)) for text in texts], SPEC))
        for key, value in made.items():
            assert value.dtype == tf.int64
            assert value.shape == (len(texts), *FEATURES[key].shape)
            assert value.numpy().max(initial=0) < FEATURES[key].cardinality
        return {key: value.numpy().tolist() for key, value in made.items()}

    return run


def terms(text: str | bytes, **settings: Any) -> list[str]:
    """The terms of a text."""
    (found,) = Text("text", **settings).terms(tf.constant([text])).to_list()
    return [term.decode() for term in found]


def test_ids_by_falling_frequency_then_padding(apply: Apply) -> None:
    assert apply("film bad THE", "good")["terms"] == [[2, 3, 4, 0], [1, 0, 0, 0]]


def test_no_text_is_all_padding(apply: Apply) -> None:
    made = apply(None, "", "?!...", " \n\t ", "\U0001f600")
    for key, feature in FEATURES.items():
        assert made[key] == [[0] * feature.length] * 5


def test_unseen_terms_have_ids_after_the_vocabulary(apply: Apply) -> None:
    (row,) = apply("good unseen new")["few"]
    assert row[0] == 1
    assert set(row[1:]) <= {3, 4, 5}
    assert apply("unseen")["terms"] == [[5, 0, 0, 0]]  # four terms were there to learn


def test_rare_terms_are_unseen_ones(apply: Apply) -> None:
    assert apply("bad the")["frequent"] == [[3, 4, 0]]


def test_long_texts_lose_their_end_or_their_start(apply: Apply) -> None:
    made = apply("good film bad the good")
    assert made["terms"] == [[1, 2, 3, 4]]
    assert made["last"] == [[4, 1]]


def test_pairs_follow_the_terms(apply: Apply) -> None:
    one, pair = apply("good film")["pairs"][0][:2], apply("good film")["only_pairs"][0]
    assert len({*one, 0}) == 3
    assert pair[0] > 0
    assert pair[1:] == [0, 0]
    assert apply("film")["only_pairs"] == [[0, 0, 0]]


def test_a_very_long_text(apply: Apply) -> None:
    assert apply("film " * 200_000)["terms"] == [[2, 2, 2, 2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's <br /><b>GREAT</b>, isn't it?", ["it's", "great", "isn't", "it"]),
        ("'quoted' ''twice'' rock 'n' roll", ["quoted", "twice", "rock", "n", "roll"]),
        ("don\u2019t", ["don't"]),
        ("1 < 2 and 3 > 2", ["1", "2", "and", "3", "2"]),
        ("10.5 stars: 4/5", ["10", "5", "stars", "4", "5"]),
        ("ÜBER naïve ΣΟΦΙΑ Привет", ["über", "naïve", "σοφια", "привет"]),
        ("हिन्दी", ["हिन्दी"]),
        ("我爱电影 ok", ["我", "爱", "电", "影", "ok"]),
        ("映画が", ["映", "画", "が"]),
        ("so\U0001f600good", ["so", "good"]),
        (b"a\xff\xfeb", ["a", "b"]),
        ("a\x00b\u200bc", ["a", "b", "c"]),
        ("", []),
        ("'", []),
    ],
)
def test_terms(text: str | bytes, expected: list[str]) -> None:
    assert terms(text) == expected


def test_runs_of_terms() -> None:
    assert terms("a b c", ngrams=(1, 3)) == ["a", "b", "c", "a b", "b c", "a b c"]
    assert terms("a", ngrams=(2, 3)) == []
    assert terms("Good", lowercase=False) == ["Good"]


def test_a_session_answers_as_eager_execution() -> None:
    """TF Serving's path: a session of TensorFlow 1 on the graph."""
    feature = Text("text", ngrams=(1, 2))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        column = tf.compat.v1.placeholder(tf.string, [None])
        made = session.run(feature.terms(column).to_tensor(""), {column: ["A film.", ""]})
    np.testing.assert_array_equal(made, [[b"a", b"film", b"a film"], [b"", b"", b""]])


def test_what_a_model_reads() -> None:
    feature = FEATURES["few"]
    assert (feature.modality, feature.dtype, feature.shape, feature.cardinality) == ("text", "int64", (3,), 6)


@pytest.mark.parametrize(
    "settings",
    [
        *({name: 0} for name in ("vocabulary", "length", "oov_buckets", "min_frequency")),
        *({"ngrams": (0, 1)}, {"ngrams": (2, 1)}, {"truncate": "middle"}),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(TaskError, match=f"{name}: expected"):
        Text("text", **settings)
