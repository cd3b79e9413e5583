"""What a run says of itself while it goes on."""

import re

from analyzer.cli import progress
from analyzer.cli.progress import TerminalProgress, brief, rate
from tests.indexer.chains import DEPLOYMENT


def test_verbose_lines_tell_blocks_logs_rate_requests_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with TerminalProgress(1) as shown:
        shown.stage(DEPLOYMENT, "reading logs")
        shown.blocks(DEPLOYMENT, 1_000, 4_000, 25_000, 12)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "gmx_v1 test: reading logs"
    assert re.fullmatch(
        r"gmx_v1 test: 1,000/4,000 blocks, 25,000 logs, [\d,]+ logs/s, 12 requests, [\d,]+ s left",
        said[1],
    )


def test_nothing_is_said_unless_asked_for(capsys):
    with TerminalProgress(0) as shown:
        shown.stage(DEPLOYMENT, "reading logs")
        shown.blocks(DEPLOYMENT, 1, 2, 3, 4)
        shown.replayed(DEPLOYMENT, 3)
    assert capsys.readouterr().err == ""


def test_a_rate_needs_time_to_have_passed():
    assert rate(1_000, 0.5) == 2_000
    assert rate(7, 0.0) == 0


def test_large_numbers_are_brief():
    numbers = (0, 999, 9_999, 12_345, 999_999, 1_234_567, 290_000_000, 12_345_678_901)
    shown = ["0", "999", "9,999", "12.3k", "1000k", "1.23M", "290M", "12.3G"]
    assert [brief(number) for number in numbers] == shown
