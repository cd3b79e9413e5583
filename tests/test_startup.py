"""The command line starts at once: nothing heavy is imported for help."""

import subprocess
import sys

HEAVY = {"web3", "pandas", "duckdb", "pyarrow", "eth_abi", "rich", "numpy", "msgspec", "requests"}


def imported(code):
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in ran.stdout.split()}


def test_help_imports_nothing_heavy():
    code = """
from click.testing import CliRunner
from analyzer.cli.app import cli
result = CliRunner().invoke(cli, ["--help"])
assert result.exit_code == 0, result.output
"""
    assert not imported(code) & HEAVY


def test_nothing_is_decoded_to_read_the_database():
    commands = "check", "show", "accounts", "export", "explain"
    code = f"import {', '.join(f'analyzer.cli.{command}' for command in commands)}"
    assert not imported(code) & {"eth_abi", "eth_utils", "web3"}


def test_a_recorded_chain_is_read_without_web3():
    code = "import analyzer.cli.index, analyzer.cli.verify, analyzer.cli.demo"
    assert "web3" not in imported(code)
