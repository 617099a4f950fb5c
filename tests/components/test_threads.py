"""Work on shards in threads."""

import pytest

from components.threads import in_order


def test_threads_keep_the_order_and_raise_what_was_raised() -> None:
    assert list(in_order(lambda item: item * item, range(20))) == [item * item for item in range(20)]
    assert list(in_order(lambda item: item, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 / item, [1, 0]))
