"""What the README shows: made by the commands themselves, so that it cannot grow stale."""

import contextlib
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from analyzer.__main__ import main
from analyzer.cli.app import COMMANDS
from analyzer.findings import load
from analyzer.protocols import protocols
from tests.benchmarks import gmx_sdk, gmx_sdk_table
from tests.conftest import NOW

CHAINS = {
    10: "Optimism",
    56: "BNB Chain",
    100: "Gnosis",
    42161: "Arbitrum",
    43114: "Avalanche",
}


def run(*arguments: str) -> str:
    """What a command prints to stdout."""
    out, err = io.StringIO(), io.StringIO()
    code = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments, NOW)
        except SystemExit as exited:
            code = exited.code
    if code not in (0, 1):
        raise RuntimeError(f"perpscope {' '.join(arguments)} failed: {err.getvalue()}")
    return out.getvalue()


@contextlib.contextmanager
def demo_folder():
    """A folder in which the demo has run, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        printed = run("demo", "-o", folder)
        yield Path(folder), printed.replace(folder, "perpscope-demo")


def block(command: str, lines: Sequence[str]) -> str:
    """A console block."""
    return "\n".join(
        ["", "```console", f"$ {command}", *(line.rstrip() for line in lines), "```", ""]
    )


def table(*rows: Sequence[object]) -> str:
    """A Markdown table; the first row is its head."""
    head, *rest = (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join(["", head, "|---" * len(rows[0]) + "|", *rest, ""])


def demo() -> str:
    """The demo's most serious findings."""
    with demo_folder() as (_, printed):
        serious, *_ = printed.split("\nMEDIUM")
        exports = [line for line in printed.splitlines() if " files (" in line]
        return block("perpscope demo", [*serious.splitlines(), "...", *exports])


def explain() -> str:
    """One position's arithmetic, line by line."""
    with demo_folder() as (folder, _):
        db = str(folder / "demo.duckdb")
        scope = ("--db", db, "--protocol", "gmx_v1", "--format", "jsonl")
        found = run("check", "near_liquidation", *scope).splitlines()
        identifier = json.loads(found[0])["id"]
        lines = run("explain", identifier, "--db", db).splitlines()
        arithmetic = lines[lines.index("") + 1 :]
        shown = next(n for n, line in enumerate(arithmetic) if line.startswith("  stored"))
        return block(f"perpscope explain {identifier}", ["...", *arithmetic[:shown], "..."])


def findings() -> str:
    """The findings and reports there are."""
    queries = load().values()
    found = [(f"`{q.name}`", q.severity, q.summary) for q in queries if q.is_finding]
    reports = [(f"`{q.name}`", q.summary) for q in queries if not q.is_finding]
    return table(("finding", "severity", "what it tells"), *found) + table(
        ("report", "what it shows"), *reports
    )


def coverage() -> str:
    """Protocols and where they are read without further configuration."""
    rows = []
    for protocol in protocols().values():
        deployments = protocol.deployments()
        official = [str(CHAINS.get(d.chain_id, d.chain_id)) for d in deployments if d.official]
        forks = sum(not d.official for d in deployments)
        rows.append((protocol.title, ", ".join(official), forks or "-"))
    return table(("protocol", "official deployments", "others that come along"), *rows)


def gmx_sdk_comparison() -> str:
    """Liquidation prices of GMX's SDK and ours beside the contract's."""
    rows = gmx_sdk_table.rows(gmx_sdk_table.compared())
    return f"\nSDK: `{gmx_sdk.stored_answers().package}`\n" + table(gmx_sdk_table.HEAD, *rows)


def commands() -> str:
    """The commands, one line each."""
    rows = [(f"`perpscope {name}`", text) for name, text in COMMANDS.items()]
    return table(("command", "what it does"), *rows)
