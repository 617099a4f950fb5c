"""What is done behind is done in order, and its errors are told."""

import threading

import pytest

from pipeline.ingest.behind import Behind


def test_in_order_and_at_most_four_behind() -> None:
    behind, may, done = Behind(), threading.Event(), list[int]()

    def wait(number: int) -> None:
        may.wait(10)
        done.append(number)

    for number in range(4):
        behind.do(wait, number)
    asking = threading.Thread(target=behind.do, args=(wait, 4))
    asking.start()
    asking.join(0.1)
    assert asking.is_alive()  # it waits for the first
    may.set()
    asking.join(10)
    behind.close()
    assert done == [0, 1, 2, 3, 4]


def test_an_error_is_told_at_the_latest_when_closed() -> None:
    behind = Behind()
    behind.do(int, "none")
    with pytest.raises(ValueError, match="none"):
        behind.close()
    later = Behind()
    with pytest.raises(ValueError, match="none"):
        for text in ("none", "1", "2", "3", "4"):
            later.do(int, text)
        later.close()
