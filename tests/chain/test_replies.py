"""A long reply is cut out of its envelope: what is cut is what reading the envelope would give."""

import json

import msgspec
import pytest

from analyzer.chain.failure import Kind
from analyzer.chain.hiding import Hider
from analyzer.chain.replies import LONG_BYTES, ReplyReader
from analyzer.chain.transport import Reply

LOGS = [{"address": "0x" + "ab" * 20, "data": "0x" + "00" * 500}] * (LONG_BYTES // 1_000)
SENT = {"id": 1, "method": "eth_getLogs"}


def read(text):
    body = text.replace("LOGS", json.dumps(LOGS)).encode()
    assert len(body) > LONG_BYTES
    return ReplyReader(Hider("http://127.0.0.1"), lambda: 0.0).single(SENT, Reply(body))


@pytest.mark.parametrize(
    "envelope",
    [
        '{"jsonrpc":"2.0","id":1,"result":LOGS}',
        '{"jsonrpc":"2.0","result":LOGS,"id":1}',
        '{"id":1,"result":LOGS,"jsonrpc":"2.0"}',
        '{"jsonrpc":"2.0","id":1,"result":LOGS,"error":null}',
        ' { "id" : 1 ,\n"result" : LOGS , "took" : 5 }\n',
        '{"jsonrpc":"2.0","id":1,"result":LOGS}' + " " * 100,
    ],
)
def test_keys_may_follow_a_long_result(envelope):
    assert msgspec.json.decode(read(envelope)) == LOGS


@pytest.mark.parametrize(
    "envelope",
    [
        '{"id":2,"result":LOGS}',
        '{"id":01,"result":LOGS}',
        '{"id":1,"result":LOGS]}',
        '{"id":1,LOGS}',
    ],
)
def test_a_long_reply_in_another_envelope_is_refused(envelope):
    assert read(envelope).kind is Kind.MALFORMED


def test_an_error_behind_a_long_result_is_an_error():
    envelope = '{"id":1,"result":LOGS,"error":{"code":-32000,"message":"try again"}}'
    assert read(envelope).detail == '"try again"'
