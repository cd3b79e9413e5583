"""The command line, with pauses, ranges and samples scaled to a chain of a few hundred blocks.

    python -m tests.faults.client LOG_WINDOW here|apart index --rpc-url ...

The windows are in blocks; a process reads logs apart, or none does.
"""

import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analyzer.__main__ import main
from analyzer.chain import Settings, node
from analyzer.cli import index as index_module  # noqa: F401  loaded, so that it can be scaled

NEVER = 10**9
BACKOFF = 0.05
MAX_WAIT = 1.0


def scale(log_window: int, *, is_apart: bool) -> None:
    """Let ``index`` begin with so many blocks a request, and wait for moments instead of seconds.

    Far below the head, it samples the headers of a large range; of these small ranges, it reads
    those of all blocks that an answer is silent about. These are settings without an option on the
    command line.
    """
    node.LONG, node.BEGINNING = (2, 1) if is_apart else (NEVER, NEVER)
    command = sys.modules["analyzer.cli.index"]
    given = command.settings_of

    def scaled(options: Mapping[str, Any]) -> Settings:
        return replace(
            given(options),
            backoff=BACKOFF,
            max_wait=MAX_WAIT,
            log_window=log_window,
            max_log_window=2 * log_window,
            bloom_checks=2 * log_window,
        )

    command.settings_of = scaled


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts may ignore it
    window, where = int(sys.argv.pop(1)), sys.argv.pop(1)
    scale(window, is_apart=where == "apart")
    main()
