"""Samples of hashes, whose intersections are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest import sample
from pipeline.ingest.sample import HashSample

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=60).map(lambda values: np.array(values, np.uint64))


@settings(max_examples=80, deadline=None)
@given(hashes, hashes, st.lists(st.integers(0, 60), max_size=4), st.integers(1, 20))
def test_intersections_are_exact(one: np.ndarray, two: np.ndarray, cuts: list[int], most: int) -> None:
    """What two samples of one threshold share is what the whole shares below it, and fractions say how much that is."""
    two = np.concatenate([two, one[::2]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_MOST", most)
        made = [HashSample(), HashSample()]
        for whole, into in zip((one, two), made, strict=True):
            for part in np.split(whole, sorted(min(cut, len(whole)) for cut in cuts)):
                into.add(part)
            assert len(into.values) <= most or into.bits == 0
            kept = whole if into.bits == 64 else whole[whole < np.uint64(2**into.bits)]
            assert into.values.tolist() == kept.tolist(), "in order"
        bits = min(into.bits for into in made)
        for into in made:
            into.limit(bits)
        limit = 2**bits
        want = {value for value in np.intersect1d(one, two).tolist() if value < limit}
        assert set(np.intersect1d(made[0].values, made[1].values).tolist()) == want
        assert made[0].fraction == made[1].fraction == 2.0 ** (bits - 64)


def test_a_limit_is_never_raised() -> None:
    made = HashSample(3)
    made.add(np.array([7, 8, 1], np.uint64))
    made.limit(10)
    assert (made.bits, made.values.tolist()) == (3, [7, 1])


def test_an_empty_one() -> None:
    assert HashSample().values.dtype == np.uint64
    assert (len(HashSample().values), HashSample().fraction) == (0, 1.0)


def test_many_equal_hashes_end() -> None:
    """Equal rows have equal hashes, so that no threshold parts them."""
    made = HashSample()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_MOST", 4)
        made.add(np.zeros(9, np.uint64))
        made.add(np.ones(9, np.uint64))
    assert made.bits == 0
    assert made.values.tolist() == [0] * 9
