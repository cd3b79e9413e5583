"""What the README shows: made by the commands themselves, so that it cannot grow stale."""

import contextlib
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from analyzer.__main__ import main
from analyzer.cli.app import COMMANDS
from analyzer.findings import load
from analyzer.protocols import protocols

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
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as exited:
            assert exited.code in (0, 1), err.getvalue()
    return out.getvalue()


@contextlib.contextmanager
def demo_folder():
    """A folder in which the demo has run, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        printed = run("demo", "-o", folder)
        yield Path(folder), printed.replace(folder, "perpscope-demo")


def block(command: str, lines: Sequence[str]) -> None:
    """Print a console block."""
    print("\n```console")
    print(f"$ {command}")
    print("\n".join(line.rstrip() for line in lines))
    print("```\n")


def demo() -> None:
    """The demo's output."""
    with demo_folder() as (_, printed):
        block("perpscope demo", printed.rstrip().splitlines())


def explain() -> None:
    """One position's arithmetic, line by line."""
    with demo_folder() as (folder, _):
        db = str(folder / "demo.duckdb")
        rows = run("check", "near_liquidation", "--db", db, "--format", "csv").splitlines()
        identifier = rows[1].split(",")[0]
        lines = run("explain", identifier, "--db", db).splitlines()
        block(f"perpscope explain {identifier}", lines)


def findings() -> None:
    """The findings there are."""
    print("\n| finding | severity | what it tells |\n|---|---|---|")
    for query in load().values():
        if query.is_finding:
            print(f"| `{query.name}` | {query.severity} | {query.summary} |")
    print("\n| report | what it shows |\n|---|---|")
    for query in load().values():
        if not query.is_finding:
            print(f"| `{query.name}` | {query.summary} |")
    print()


def coverage() -> None:
    """Protocols and where they are read without further configuration."""
    print("\n| protocol | official deployments | forks that come along |\n|---|---|---|")
    for protocol in protocols().values():
        deployments = protocol.deployments()
        official = [f"{CHAINS.get(d.chain_id, d.chain_id)}" for d in deployments if d.official]
        forks = sum(not d.official for d in deployments)
        print(f"| {protocol.title} | {', '.join(official)} | {forks or '-'} |")
    print()


def commands() -> None:
    """The commands, one line each."""
    print("\n| command | what it does |\n|---|---|")
    for name, text in COMMANDS.items():
        print(f"| `perpscope {name}` | {text} |")
    print()
