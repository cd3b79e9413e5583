"""What is sent over a line between two processes arrives as it was."""

import fcntl
import pickle
import signal
import socket
import struct
import termios
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from analyzer.chain.failure import Kind, NodeError, RpcFailure, sentence
from analyzer.chain.messages import received, send
from analyzer.evm import Log, LogBatch
from analyzer.log_columns import LogColumns

LIMIT = 60.0


@pytest.fixture
def line():
    """Two ends; both are closed with the test."""
    ours, its = socket.socketpair()
    with ours, its:
        yield ours, its


def passed_on(line, *messages):
    """What arrives of messages that are sent by another thread before it hangs up."""
    ours, its = line

    def speak():
        with its:
            for message in messages:
                send(its, message)

    speaker = threading.Thread(target=speak)
    speaker.start()
    heard = list(received(ours))
    speaker.join(LIMIT)
    assert not speaker.is_alive()
    return heard


def spoken(message):
    """The bytes of one message."""
    ours, its = socket.socketpair()

    def speak():
        with its:
            send(its, message)

    with ours:
        speaker = threading.Thread(target=speak)
        speaker.start()
        whole = b"".join(iter(lambda: ours.recv(1 << 16), b""))
        speaker.join(LIMIT)
    return whole


def a_log(data):
    address, digest = "0x" + "11" * 20, "0x" + "22" * 32
    return Log(7, digest, digest, 0, 1, address, (digest,), data, 1_700_000_000)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float64, np.bool_])
@pytest.mark.parametrize("size", [0, 1, 1_000])
def test_columns_of_all_kinds_arrive_whole(line, kind, size):
    column = np.arange(size).astype(kind)
    (got,) = passed_on(line, column)
    assert got.dtype == column.dtype
    assert np.array_equal(got, column)


def test_columns_of_any_shape_arrive_whole(line):
    table = np.arange(600, dtype=np.int64).reshape(20, 30)
    shapes = [table, table.T, table[::2, ::3], table[:0], np.int64(5), np.array(5), [table, table]]
    for sent, got in zip(shapes, passed_on(line, *shapes), strict=True):
        assert np.array_equal(sent, got)


def test_a_column_that_arrived_can_be_written_to(line):
    (got,) = passed_on(line, np.zeros(10, np.int64))
    got[3] = 4
    assert got.sum() == 4


@pytest.mark.parametrize("datas", [[], [b""], [b"abc", b"", b"d" * 5_000]])
def test_a_batch_of_logs_arrives_as_it_was(line, datas):
    batch = LogBatch(3, 9, LogColumns.of([a_log(data) for data in datas]))
    (got,) = passed_on(line, batch)
    assert got == batch
    assert [log.data for log in got.logs] == datas


def test_messages_arrive_in_order(line):
    messages = ["a", None, np.arange(3), {"b": [1, 2]}, b"", "c" * 1_000]
    got = passed_on(line, *messages)
    assert [str(one) for one in got] == [str(one) for one in messages]


def test_a_message_that_the_line_cannot_hold_arrives_whole(line):
    size = 1 << 24
    assert size > 4 * line[1].getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    big = np.arange(size, dtype=np.int64)
    for got in passed_on(line, big, big[::-1]):
        assert abs(int(got[0]) - int(got[-1])) == size - 1
        assert int(got.sum()) == size * (size - 1) // 2


def test_who_hangs_up_between_messages_is_done(line):
    assert passed_on(line) == []
    ours, _ = line
    assert list(received(ours)) == []


def test_who_hangs_up_within_a_message_is_not_done():
    whole = spoken(["text", np.arange(4)])
    for cut in range(1, len(whole)):
        ours, its = socket.socketpair()
        with ours:
            with its:
                its.sendall(whole[:cut])
            with pytest.raises(EOFError):
                next(received(ours))


def test_what_was_said_before_a_cut_message_is_heard(line):
    ours, its = line
    send(its, "first")
    its.sendall(spoken("second")[:-1])
    its.close()
    heard = received(ours)
    assert next(heard) == "first"
    with pytest.raises(EOFError):
        next(heard)


def test_nobody_speaks_to_who_has_hung_up(line):
    ours, its = line
    ours.close()
    with pytest.raises(OSError, match="pipe"):
        send(its, "hello")


def unread(end):
    """Bytes that have come and were not taken."""
    return struct.unpack("i", fcntl.ioctl(end, termios.FIONREAD, bytes(4)))[0]


def test_a_signal_in_the_middle_of_a_message_loses_nothing(line):
    """As a stopped process that goes on, or a window that changes its size, would meet."""
    ours, its = line
    column = np.arange(1 << 16, dtype=np.int64)
    whole = spoken(column)
    met = threading.Event()
    main = threading.get_ident()

    def speak():
        its.sendall(whole[:100_000])
        until = time.monotonic() + LIMIT
        while unread(ours) and time.monotonic() < until:
            time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)
        met.wait(LIMIT)
        with suppress(OSError):  # nobody listens: the test has failed
            its.sendall(whole[100_000:])

    before = signal.signal(signal.SIGUSR1, lambda *_: met.set())
    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        assert np.array_equal(next(received(ours)), column)
    finally:
        met.set()
        ours.close()
        speaker.join(LIMIT)
        signal.signal(signal.SIGUSR1, before)


def test_an_error_of_a_node_is_the_same_elsewhere():
    error = sentence(RpcFailure(Kind.QUOTA, "eth_getLogs", "of 100"), "node.example.com")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is NodeError
    assert (str(again), again.reason) == (str(error), error.reason)
    assert again.args == error.args
