"""A recording of a run gives the same run again."""

import gzip
import json

import pytest

from analyzer.chain import open_chain
from analyzer.chain.recorder import Recorder
from analyzer.chain.recording import RecordedChain
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, Call, Log, LogBatch, LogFilter, Slot
from tests.chain.conftest import RECORDING, VAULT
from tests.chain.server import Manners

DEPLOYMENTS = [{"protocol": "gmx_v1", "name": "mine", "chain_id": 3133701, "start_block": 63,
                "contracts": {"Vault": VAULT}, "options": {"variant": "C"}}]  # fmt: skip
FILTERS = [LogFilter((VAULT,))]


def run(chain, calls):
    head = chain.block("latest")
    logs = [log for batch in chain.logs(FILTERS, 63, head.number) for log in batch.logs]
    return chain.chain_id(), head, logs, chain.answer(calls, head)


@pytest.mark.parametrize("times", [True, False])
def test_a_recorded_run_can_be_made_again(node, calls, tmp_path, times):
    path = tmp_path / "mine.json.gz"
    recorder = Recorder(node(Manners(block_timestamps=times)).chain, path)
    recorder.deployments = DEPLOYMENTS
    first = run(recorder, calls)
    assert not path.exists()
    recorder.close()
    again = RecordedChain(path)
    assert again.deployments == DEPLOYMENTS
    assert run(again, calls) == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_recording_can_be_recorded(recorded, calls, tmp_path):
    path = tmp_path / "copy.json.gz"
    chain = open_chain([f"recording:{RECORDING}"], record=path)
    first = run(chain, calls)
    chain.close()
    chain.close()
    copied = open_chain([f"recording:{path}"])
    assert run(copied, calls) == first == run(recorded, calls)
    assert copied.deployments == recorded.deployments


def test_what_was_not_read_is_not_in_the_recording(recorded, calls, tmp_path):
    path = tmp_path / "part.json.gz"
    chain = Recorder(recorded, path)
    chain.answer(calls[:5], chain.block("latest"))
    chain.close()
    with pytest.raises(AnalyzerError, match="does not hold eth_call"):
        RecordedChain(path).answer(calls[5:6], recorded.block("latest"))


def test_the_head_of_a_recording_is_the_last_block_that_was_read(recorded, tmp_path):
    path = tmp_path / "older.json.gz"
    chain = Recorder(recorded, path)
    assert chain.block("latest").number == 3_131
    list(chain.logs(FILTERS, 63, 500))
    chain.close()
    assert RecordedChain(path).block("latest").number == 500


def test_half_read_logs_are_not_recorded(recorded, tmp_path):
    path = tmp_path / "half.json.gz"
    chain = Recorder(recorded, path)
    next(iter(chain.logs(FILTERS, 0, 3_131)))
    chain.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(AnalyzerError, match="its folder does not exist, create it"):
        open_chain([f"recording:{RECORDING}"], record=tmp_path / "no" / "x.json.gz")


def test_a_full_disk_leaves_the_old_recording(recorded, calls, tmp_path, monkeypatch):
    path = tmp_path / "x.json.gz"
    path.write_bytes(b"old")
    chain = Recorder(recorded, path)
    chain.answer(calls[:5], chain.block("latest"))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("analyzer.chain.recorder.os.fsync", full)
    with pytest.raises(AnalyzerError, match=r"cannot record to .*No space left on device.*: free"):
        chain.close()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class Small:
    """A chain of one block with every kind of answer."""

    label = "small"
    is_recorded = False
    deployments = ()
    head = Block(7, "0x" + "07" * 32, "0x" + "06" * 32, 1_700_000_000, b"\x01" * 256)
    log = Log(7, head.hash, "0x" + "01" * 32, 2, 3, VAULT, ("0x" + "02" * 32,), b"\x05", head.time)
    answers = {  # noqa: RUF012
        Call(VAULT, b"\x01"): Answer(b"\x02\x03"),
        Call(VAULT, b""): Answer(b""),
        Call(VAULT, b"\x01", "0x" + "11" * 20): Answer(b"\x09"),
        Call(VAULT, b"\x02"): Answer(error=""),
        Call(VAULT, b"\x03"): Answer(error="only words"),
        Call(VAULT, b"\x04"): Answer(bytes.fromhex("4dfbbff3ff"), error="0x4dfbbff3"),
        Slot(VAULT, 2**256 - 1): Answer(b"\x01".rjust(32, b"\0")),
    }

    def chain_id(self):
        return 42161

    def block(self, _which):
        return self.head

    def logs(self, _filters, from_block, to_block, _templates=None):
        yield LogBatch(from_block, to_block, [self.log], [self.head])

    def answer(self, requests, _block):
        return [self.answers[request] for request in requests]

    def close(self):
        pass


def test_every_kind_of_answer_survives(tmp_path):
    path = tmp_path / "small.json.gz"
    recorder = Recorder(Small(), path)
    head = recorder.block("finalized")
    recorder.answer(list(Small.answers), head)
    list(recorder.logs(FILTERS, 7, 7))
    recorder.close()
    again = RecordedChain(path)
    assert again.chain_id() == 42161
    assert again.block("latest") == head
    assert again.answer(list(Small.answers), head) == list(Small.answers.values())
    assert [batch.logs for batch in again.logs(FILTERS, 7, 7)] == [[Small.log]]


DAMAGE = {
    "no chain id": lambda d: d.pop("chain_id"),
    "no blocks": lambda d: d.update(blocks=[]),
    "a block of text": lambda d: d["blocks"].append("0x1"),
    "a log without data": lambda d: d["logs"][0].pop("data"),
    "a call without block": lambda d: d["calls"][0].pop("block"),
    "calls that are none": lambda d: d.update(calls=7),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_recording_is_told(write_recording, gmx_v1_recording, damage):
    document = json.loads(json.dumps(gmx_v1_recording))
    DAMAGE[damage](document)
    with pytest.raises(AnalyzerError, match=r"chain\.json\.gz is not a recorded chain .*--record"):
        RecordedChain(write_recording(document))


PACKED = gzip.compress(b"[]", mtime=0)
UNREADABLE = {
    "empty": b"",
    "not packed": b"text",
    "no JSON": gzip.compress(b"{", mtime=0),
    "cut short": PACKED[:15],
    "damaged in its head": PACKED[:10] + b"\xff" + PACKED[11:],
    "damaged in its checksum": PACKED[:-5] + b"\xff" + PACKED[-4:],
    "nested without end": gzip.compress(b"[" * 100_000, mtime=0),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_recording_is_told(tmp_path, content):
    path = tmp_path / "x.json.gz"
    path.write_bytes(content)
    with pytest.raises(AnalyzerError, match=r"x\.json\.gz cannot be read as a recorded chain"):
        RecordedChain(path)


def test_json_of_another_shape_is_told(tmp_path):
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(b"[]", mtime=0))
    with pytest.raises(AnalyzerError, match="is not a recorded chain"):
        RecordedChain(path)
