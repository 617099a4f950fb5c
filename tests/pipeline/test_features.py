"""Every kind of feature, through a real TensorFlow Transform analysis, against NumPy: one Beam run for all."""

from collections.abc import Callable
from typing import Any

import farmhash
import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import TaskError
from pipeline.features import (
    Bucketized,
    Categorical,
    Feature,
    Hashed,
    Log,
    MinMax,
    Numeric,
    Vocabulary,
    ZScore,
)
from pipeline.features.base import INT_MISSING

_RANDOM = np.random.default_rng(7)
NAN, INF = float("nan"), float("inf")
X = [*np.round(_RANDOM.normal(5.0, 20.0, 41), 3).astype(float), None, None, NAN, INF, -INF]
N = [*(int(n) for n in _RANDOM.integers(-50, 1000, 43)), None, None, 0]
TERMS = [*["a"] * 9, *["b"] * 7, *["c"] * 5, *["d"] * 3, "e", "two\nlines", b"\xff\xfe", "", "", None]
S = TERMS + [None] * (len(X) - len(TERMS))
K = [*[7] * 6, *[-3] * 5, *[2**40] * 4] + [None] * (len(X) - 15)
TRAIN = [
    {"x": x, "n": n, "k": k, "c": 1, "tie": 1.0 if i < 40 else 2.0, "same": 3.0, "none": None, "word": None}
    | {column: s for column in ("s", "s_top", "s_rare", "s_oov")}
    for i, (x, n, s, k) in enumerate(zip(X, N, S, K, strict=True))
]
SERVED = [
    {"x": -1e30, "n": -(10**9), "s": "unseen", "k": 8, "c": -1, "tie": 0.0, "same": -1.0, "none": 1.0, "word": "new"},
    {"x": 1e30, "n": 2**40, "s": "e", "k": 0, "c": 5, "tie": 1.0, "same": 3.0, "none": -1.0, "word": ""},
    {"x": 0.0, "n": 0, "s": "two\nlines", "k": 7, "c": 4, "tie": 2.0, "same": 9.0, "none": 0.0, "word": "x"},
    {"x": NAN, "n": INT_MISSING, "s": "", "k": INT_MISSING, "c": INT_MISSING, "tie": NAN, "same": NAN, "none": NAN},
    {"x": INF, "n": 5, "s": b"\x80", "k": -3, "c": 2**40, "tie": INF, "same": INF, "none": INF},
    {"x": -INF, "n": 5, "s": " ", "k": 2**40, "c": 0, "tie": -INF, "same": -INF, "none": -INF},
    {},
]
SERVED = [row | {column: row.get("s") for column in ("s_top", "s_rare", "s_oov")} for row in SERVED]
SPEC = {name: tf.io.VarLenFeature(tf.float32) for name in ("x", "tie", "same", "none")}
SPEC |= {name: tf.io.VarLenFeature(tf.int64) for name in ("n", "k", "c")}
SPEC |= {name: tf.io.VarLenFeature(tf.string) for name in ("s", "s_top", "s_rare", "s_oov", "word")}
FEATURES: dict[str, Feature] = {
    "z": Numeric("x"),
    "z_filled": Numeric("x", missing=3.5),
    "z_mean": Numeric("x", missing="mean"),
    "z_clipped": Numeric("x", clip=(-10.0, 10.0)),
    "raw": Numeric("x", scale=None, missing=-1.0),
    "median": Numeric("x", scale=None, missing="median"),
    "clipped": Numeric("x", scale=None, missing=-99.0, clip=(-10.0, 10.0)),
    "unit": Numeric("x", scale=MinMax()),
    "log": Numeric("x", scale=Log()),
    "int_z": Numeric("n", scale=ZScore(), missing="mean"),
    "constant_z": Numeric("same"),
    "constant_unit": Numeric("same", scale=MinMax()),
    "nothing_unit": Numeric("none", scale=MinMax()),
    "nothing_log": Numeric("none", scale=Log()),
    "nothing_mean": Numeric("none", missing="mean"),
    "nothing_median": Numeric("none", missing="median", scale=None),
    "quantiles": Bucketized("x", buckets=4),
    "int_quantiles": Bucketized("n", buckets=3),
    "tied_quantiles": Bucketized("tie", buckets=10),
    "nothing_quantiles": Bucketized("none", buckets=4),
    "edges": Bucketized("x", edges=(-5.0, 0.0, 12.5)),
    "vocabulary": Vocabulary("s", top_k=50, oov_buckets=1),
    "top": Vocabulary("s_top", top_k=2),
    "frequent": Vocabulary("s_rare", min_frequency=4),
    "oov": Vocabulary("s_oov", top_k=2, oov_buckets=5),
    "nothing_vocabulary": Vocabulary("word", oov_buckets=3),
    "int_vocabulary": Vocabulary("k"),
    "categorical": Categorical("c", size=5),
    "hashed": Hashed("s", buckets=10),
    "int_hashed": Hashed("k", buckets=10),
}

Apply = Callable[[list[dict[str, Any]]], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def apply(analyse: Any, example: Any) -> Apply:
    """A function: rows to each feature's transformed column, by a graph analysed on TRAIN."""

    def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        return {key: feature.preprocess(inputs[feature.name]) for key, feature in FEATURES.items()}

    layer = analyse(TRAIN, SPEC, preprocessing_fn).transform_features_layer()

    def run(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        made = layer(tf.io.parse_example([example(row) for row in rows], SPEC))
        return {key: value.numpy() for key, value in made.items()}

    return run


@pytest.fixture(scope="module")
def train(apply: Apply) -> dict[str, np.ndarray]:
    return {key: value.ravel() for key, value in apply(TRAIN).items()}


@pytest.fixture(scope="module")
def served(apply: Apply) -> dict[str, np.ndarray]:
    return {key: value.ravel() for key, value in apply(SERVED).items()}


def floats(values: list[Any], missing: float = NAN) -> np.ndarray:
    """A column in NumPy, `missing` where there is no finite value."""
    column = np.array([NAN if value is None or value == INT_MISSING else value for value in values], np.float64)
    return np.where(np.isfinite(column), column, missing)


def z(values: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    return np.asarray((values - fitted.mean()) / fitted.std())


def close(received: np.ndarray, expected: np.ndarray | list[float], rtol: float = 1e-4) -> None:
    np.testing.assert_allclose(received, expected, rtol=rtol, atol=1e-5)


XS = [row.get("x") for row in SERVED]
FINITE = floats(X)[np.isfinite(floats(X))]


def test_shapes_and_types(apply: Apply) -> None:
    for key, column in apply(SERVED).items():
        assert column.shape == (len(SERVED), 1), key
        assert column.dtype == (np.float32 if FEATURES[key].cardinality is None else np.int64), key


def test_numbers_are_finite_whatever_comes_in(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    for key, feature in FEATURES.items():
        if feature.cardinality is None:
            assert np.isfinite(train[key]).all(), key
            assert np.isfinite(served[key]).all(), key


def test_ids_are_below_the_cardinality_whatever_comes_in(
    train: dict[str, np.ndarray], served: dict[str, np.ndarray]
) -> None:
    for key, feature in FEATURES.items():
        if feature.cardinality is not None:
            ids = np.concatenate([train[key], served[key]])
            assert 0 <= ids.min() <= ids.max() < feature.cardinality, key


def test_z_score_and_what_stands_for_missing(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    for key, fill in (("z", 0.0), ("z_filled", 3.5), ("z_mean", FINITE.mean())):
        close(train[key], z(floats(X, fill), FINITE))
        close(served[key], z(floats(XS, fill), FINITE))


def test_z_score_of_integers(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    observed = floats(N)[np.isfinite(floats(N))]
    close(train["int_z"], z(floats(N, observed.mean()), observed))
    close(served["int_z"], z(floats([row.get("n") for row in SERVED], observed.mean()), observed))


def test_clip_comes_before_the_scale_and_after_missing(
    train: dict[str, np.ndarray], served: dict[str, np.ndarray]
) -> None:
    observed = FINITE.clip(-10, 10)
    close(train["z_clipped"], z(floats(X, 0.0).clip(-10, 10), observed))
    close(served["z_clipped"], z(floats(XS, 0.0).clip(-10, 10), observed))
    close(served["clipped"], [-10, 10, 0, -10, -10, -10, -10])


def test_no_scale_leaves_the_number(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    close(train["raw"], floats(X, -1.0), rtol=1e-6)
    close(served["raw"], [-1e30, 1e30, 0, -1, -1, -1, -1])


def test_median_of_the_finite_values(train: dict[str, np.ndarray]) -> None:
    close(train["median"], floats(X, float(np.median(FINITE))), rtol=1e-6)


def test_min_max(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    low, span = FINITE.min(), FINITE.max() - FINITE.min()
    close(train["unit"], (floats(X, 0.0) - low) / span)
    assert (train["unit"].min(), train["unit"].max()) == (0.0, 1.0)
    close(served["unit"], (floats(XS, 0.0) - low) / span)


def test_log_takes_negative_numbers_as_0(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    observed = np.log1p(FINITE.clip(0))
    close(train["log"], z(np.log1p(floats(X, 0.0).clip(0)), observed))
    close(served["log"], z(np.log1p(floats(XS, 0.0).clip(0)), observed))


def test_a_column_without_a_spread_or_without_a_value_is_0(
    train: dict[str, np.ndarray], served: dict[str, np.ndarray]
) -> None:
    for key in ("constant_z", "constant_unit", "nothing_mean", "nothing_median", "nothing_unit", "nothing_log"):
        assert set(train[key]) == {0.0}, key
    assert served["nothing_median"][3] == 0.0


def test_quantiles_hold_equally_many_values(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    ids = train["quantiles"][np.isfinite(floats(X))]
    assert np.bincount(ids).tolist() in ([10, 10, 10, 11], [11, 10, 10, 10], [10, 10, 11, 10], [10, 11, 10, 10])
    assert (np.diff(ids[np.argsort(FINITE)]) >= 0).all()
    assert (train["quantiles"][~np.isfinite(floats(X))] == 4).all()
    assert served["quantiles"].tolist() == [0, 3, ids[np.argmin(abs(FINITE))], 4, 4, 4, 4]


def test_quantiles_of_integers(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    present = np.array([n is not None for n in N])
    counts = np.bincount(train["int_quantiles"], minlength=4)
    assert counts.sum() == len(N)
    assert all(13 <= count <= 16 for count in counts[:3])
    assert (train["int_quantiles"][~present] == 3).all()
    assert served["int_quantiles"][[0, 1, 3, 6]].tolist() == [0, 2, 3, 3]


def test_tied_quantiles_keep_the_order_and_missing_its_own_id(served: dict[str, np.ndarray]) -> None:
    low, middle, high = served["tied_quantiles"][:3]
    assert low <= middle <= high < 10
    assert low < high
    assert (served["tied_quantiles"][3:] == 10).all()


def test_given_edges_take_their_own_value_upwards(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    edges = [-5.0, 0.0, 12.5]
    expected = np.where(np.isfinite(floats(X)), np.digitize(floats(X, 0.0), edges), 4)
    np.testing.assert_array_equal(train["edges"], expected)
    assert served["edges"].tolist() == [0, 3, 2, 4, 4, 4, 4]


def test_vocabulary_ids_fall_with_frequency(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    rank = {"a": 1, "b": 2, "c": 3, "d": 4}
    for term, received in zip(S, train["vocabulary"], strict=True):
        if term in rank:
            assert received == rank[term]
        elif term in ("", None):
            assert received == 0
        else:
            assert received > 4
    unseen, rare, _, *missing = served["vocabulary"][[0, 1, 2, 3, 6]]
    assert unseen > rare > 4
    assert missing == [0, 0]


@pytest.mark.parametrize(("key", "kept", "first_oov", "oov_buckets"), [
    ("top", ["a", "b"], 3, 1),
    ("frequent", ["a", "b", "c"], 4, 1),
    ("oov", ["a", "b"], 3, 5),
])  # fmt: skip
def test_top_k_and_min_frequency_send_the_rest_out_of_vocabulary(
    train: dict[str, np.ndarray], key: str, kept: list[str], first_oov: int, oov_buckets: int
) -> None:
    for term, received in zip(S, train[key], strict=True):
        if term in ("", None):
            assert received == 0
        elif term in kept:
            assert received == kept.index(term) + 1
        else:
            assert first_oov <= received < first_oov + oov_buckets


def test_out_of_vocabulary_terms_share_their_buckets_by_hash(train: dict[str, np.ndarray]) -> None:
    others = {term: received for term, received in zip(S, train["oov"], strict=True) if term in ("c", "d", "e")}
    expected = {term: 3 + farmhash.fingerprint64(term) % 5 for term in others}
    assert others == expected


def test_vocabulary_of_integers(train: dict[str, np.ndarray], served: dict[str, np.ndarray]) -> None:
    expected = {7: 1, -3: 2, 2**40: 3, None: 0}
    assert train["int_vocabulary"].tolist() == [expected[k] for k in K]
    assert served["int_vocabulary"].tolist() == [4, 4, 1, 0, 2, 3, 0]


def test_a_vocabulary_without_a_term_knows_only_missing_and_unseen(
    train: dict[str, np.ndarray], served: dict[str, np.ndarray]
) -> None:
    assert set(train["nothing_vocabulary"]) == {0}
    assert served["nothing_vocabulary"][[1, 3, 4]].tolist() == [0, 0, 0]
    assert (served["nothing_vocabulary"][[0, 2]] > 0).all()


def test_categorical_is_the_number_or_the_id_after_the_last(served: dict[str, np.ndarray]) -> None:
    assert served["categorical"].tolist() == [5, 5, 4, 5, 5, 0, 5]


def test_hashed_is_farmhash_and_missing_the_last_id(
    train: dict[str, np.ndarray], served: dict[str, np.ndarray]
) -> None:
    def bucket(value: Any) -> int:
        return 10 if value in (None, "", INT_MISSING) else int(farmhash.fingerprint64(str(value)) % 10)

    for term, received in zip(S, train["hashed"], strict=True):
        if not isinstance(term, bytes):
            assert received == bucket(term)
    assert train["int_hashed"].tolist() == [bucket(k) for k in K]
    assert served["int_hashed"].tolist() == [bucket(row.get("k")) for row in SERVED]


@pytest.mark.parametrize("shape", [[-1], [-1, 1]])
def test_dense_columns_are_read_as_sparse_ones(shape: list[int]) -> None:
    # In a graph of its own: TFT keeps notes on what it is given in the default graph, where they would stay.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        floats_in = tf.reshape(tf.constant([1.0, NAN, -INF, 4.0]), shape)
        integers = tf.reshape(tf.constant([3, INT_MISSING, -1, 9], tf.int64), shape)
        strings = tf.reshape(tf.constant(["a", "", "b", "a"]), shape)
        made = {
            "floats": Numeric("x", scale=None, missing=-2.0).preprocess(floats_in),
            "integers": Numeric("n", scale=None, missing=-2.0).preprocess(integers),
            "edges": Bucketized("x", edges=(2.0,)).preprocess(floats_in),
            "categorical": Categorical("n", size=4).preprocess(integers),
            "hashed": Hashed("s", buckets=100).preprocess(strings),
        }
        received = {name: column.ravel().tolist() for name, column in session.run(made).items()}
    a, b = (farmhash.fingerprint64(term) % 100 for term in "ab")
    assert received == {
        "floats": [1, -2, -2, 4],
        "integers": [3, -2, -1, 9],
        "edges": [0, 2, 2, 1],
        "categorical": [3, 4, 4, 4],
        "hashed": [a, 100, b, a],
    }


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Numeric(""), ["Numeric", "needs a name", "name=''"]),
        (lambda: Numeric("x", missing="mode"), ["'x' (Numeric)", "missing", "missing='mode'"]),
        (lambda: Numeric("x", missing=NAN), ["'x' (Numeric)", "missing", "missing=nan"]),
        (lambda: Numeric("x", missing=INF), ["'x' (Numeric)", "missing", "missing=inf"]),
        (lambda: Numeric("x", scale="log"), ["'x' (Numeric)", "scale", "scale='log'"]),
        (lambda: Numeric("x", clip=(2.0, 1.0)), ["'x' (Numeric)", "low < high", "clip=(2.0, 1.0)"]),
        (lambda: Numeric("x", clip=(1.0, 1.0)), ["'x' (Numeric)", "low < high", "clip=(1.0, 1.0)"]),
        (lambda: Bucketized("x"), ["'x' (Bucketized)", "either buckets or edges", "buckets=None", "edges=()"]),
        (lambda: Bucketized("x", buckets=2, edges=(1.0,)), ["'x' (Bucketized)", "either", "buckets=2"]),
        (lambda: Bucketized("x", buckets=1), ["'x' (Bucketized)", "at least 2", "buckets=1"]),
        (lambda: Bucketized("x", edges=(2.0, 1.0)), ["'x' (Bucketized)", "ascending", "edges=(2.0, 1.0)"]),
        (lambda: Bucketized("x", edges=(1.0, 1.0)), ["'x' (Bucketized)", "ascending", "edges=(1.0, 1.0)"]),
        (lambda: Bucketized("x", edges=(NAN,)), ["'x' (Bucketized)", "ascending", "edges=(nan,)"]),
        (lambda: Vocabulary("s", top_k=0), ["'s' (Vocabulary)", "top_k: expected at least 1", "top_k=0"]),
        (lambda: Vocabulary("s", oov_buckets=0), ["'s' (Vocabulary)", "oov_buckets", "oov_buckets=0"]),
        (lambda: Vocabulary("s", min_frequency=0), ["'s' (Vocabulary)", "min_frequency", "min_frequency=0"]),
        (lambda: Categorical("c"), ["'c' (Categorical)", "size: expected at least 1", "size=0"]),
        (lambda: Hashed("s", buckets=1), ["'s' (Hashed)", "at least 2", "buckets=1"]),
    ],
)
def test_a_wrong_setting_is_refused_with_feature_rule_and_value(make: Callable[[], Feature], parts: list[str]) -> None:
    with pytest.raises(TaskError) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)


def test_cardinality_counts_the_ids_for_missing_and_unseen() -> None:
    assert Numeric("x").cardinality is None
    assert Bucketized("x", buckets=10).cardinality == 11
    assert Bucketized("x", edges=(1.0, 2.0)).cardinality == 4
    assert Vocabulary("s", top_k=20, oov_buckets=2).cardinality == 23
    assert Categorical("c", size=24).cardinality == 25
    assert Hashed("s", buckets=10).cardinality == 11
