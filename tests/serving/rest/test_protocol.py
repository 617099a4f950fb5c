import socket

import pytest

from serving.rest import protocol

BODY = b'{"instances": [1.0]}'
HEAD = b"POST /v1/models/toy:predict HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n" % len(BODY)


@pytest.fixture
def connection(rest):
    with socket.create_connection(("127.0.0.1", rest.port), timeout=20) as opened:
        yield opened


def all_of(connection) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_an_answer_leaves_in_one_write(connection):
    for _ in range(20):
        connection.sendall(HEAD + b"\r\n" + BODY)
        assert connection.recv(65536).endswith(b'\r\n\r\n{"predictions":[2.5]}')


def test_an_answer_without_a_body_leaves_too(connection):
    connection.sendall(b"HEAD /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_large_answers_are_whole(rest):
    values = [float(value) for value in range(60_000)]
    assert rest.predict({"instances": values}).json()["predictions"] == [value / 2 + 2 for value in values]


def test_pipelined_requests(connection):
    connection.sendall((HEAD + b"\r\n" + BODY) * 2 + HEAD + b"connection: close\r\n\r\n" + BODY)
    assert all_of(connection).count(b'{"predictions":[2.5]}') == 3


def test_a_head_without_end_is_refused(connection):
    connection.sendall(HEAD + b"x: " + b"y" * (1 << 17))
    assert connection.recv(65536).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\n" + BODY])
def test_a_head_that_does_not_come_in_time_ends_the_connection(serve, monkeypatch, before):
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 0.3)
    with serve() as rest, socket.create_connection(("127.0.0.1", rest.port), timeout=20) as connection:
        if before:
            connection.sendall(before)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /healthz HT")
        assert all_of(connection) == b""


def test_a_connection_that_says_nothing_is_closed(serve, monkeypatch):
    monkeypatch.setattr(protocol, "_HEAD_SECONDS", 0.3)
    with serve() as rest, socket.create_connection(("127.0.0.1", rest.port), timeout=20) as connection:
        assert all_of(connection) == b""


def test_continue_is_said_before_the_body(connection):
    connection.sendall(HEAD + b"expect: 100-continue\r\n\r\n")
    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(BODY)
    assert connection.recv(65536).endswith(b'{"predictions":[2.5]}')
