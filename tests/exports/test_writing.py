"""Files appear whole or not at all, and a pipe may close when it likes."""

import errno
import io
import os
import stat
import subprocess
import sys

import pytest

from analyzer.errors import AnalyzerError
from analyzer.exports import FORMATS, json_lines, write


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_is_written_whole_and_nothing_else_is_left(finding_result, format_name, tmp_path):
    target = tmp_path / "out"
    target.write_text("old")
    write([finding_result], format_name, target)
    assert target.read_bytes()[:3] != b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_usual_permissions(finding_result, tmp_path):
    write([finding_result], "json", tmp_path / "ours")
    (tmp_path / "theirs").write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs")}
    assert len(modes) == 1


def test_a_failure_halfway_leaves_the_old_file(finding_result, tmp_path, monkeypatch):
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    def fail(results, resolved, stream):
        stream.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(json_lines, "write", fail)
    with pytest.raises(
        AnalyzerError, match=r"cannot be written \(No space left on device\): check"
    ):
        write([finding_result], "jsonl", target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(finding_result, tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write([finding_result], "json", link)
    assert link.is_symlink()
    assert real.read_text().startswith("[")


def test_a_device_is_written_and_not_replaced(finding_result, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    write([finding_result], "jsonl", pipe)
    out, _ = reader.communicate(timeout=30)
    assert out.count(b"\n") == len(finding_result.rows)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_path_that_cannot_be_written_is_said_in_one_sentence(finding_result, tmp_path):
    for target in (tmp_path, tmp_path / "no" / "such" / "folder.json", tmp_path / ("x" * 300)):
        with pytest.raises(AnalyzerError, match="cannot be written") as caught:
            write([finding_result], "json", target)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_fails_is_said(finding_result):
    class Full(io.StringIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(AnalyzerError, match="the output cannot be written"):
        write([finding_result], "json", Full())


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_reader_that_leaves_early_is_no_error(format_name):
    code = f"""
import sys
from decimal import Decimal
from tests.exports.conftest import make_query, make_rows, COLUMNS
from analyzer.findings.identity import identify
from analyzer.findings.model import Result
from analyzer.exports import write
rows = make_rows() * 2000
query = make_query()
write([Result(query, COLUMNS, rows, identify(query, rows))], {format_name!r}, sys.stdout)
sys.exit(7)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.read(1)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (7, b"")


def test_parquet_goes_into_a_pipe_but_not_onto_a_terminal(finding_result):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw)
    write([finding_result], "parquet", stream)
    assert raw.getvalue()[:4] == b"PAR1" == raw.getvalue()[-4:]

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    with pytest.raises(AnalyzerError, match="name a file with -o"):
        write([finding_result], "parquet", Terminal())
