"""The configuration file says what it means, or an error says what it should."""

import click
import pytest

from analyzer.cli.app import COMMANDS, cli
from tests.conftest import GMX_V1_RECORDING

RECORDED = f"recording:{GMX_V1_RECORDING}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rpc_ulr = 'x'", "unknown key `rpc_ulr`: did you mean `rpc_url`?"),
        ("db = ", "is not readable TOML"),
        ("db = ['a', 'b']", "`db` in perpscope.toml takes one value"),
        ("params = 3", "`params` in perpscope.toml must be a table"),
        ("[[ignore]]\nid = 'x'", "needs `id` and `reason`"),
        ("[[ignore]]\nid = 'x'\nreson = 'y'", "unknown key `reson`: did you mean `reason`?"),
        ("deployment = 3", "must be [[deployment]] tables"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_cure(perpscope, tmp_path, text, complaint):
    (tmp_path / "perpscope.toml").write_text(text)
    ran = perpscope("index")
    assert ran.code == 2
    assert complaint in ran.err
    assert ran.err.count("\n") == 1


DEPLOYMENT = """
[[deployment]]
protocol = "gmx_v1"
name = "mine"
chain_id = 3133701
{line}
[deployment.contracts]
{contract} = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
"""


@pytest.mark.parametrize(
    ("line", "contract", "complaint"),
    [
        ("start_blok = 3", "Vault", "unknown key `start_blok`: did you mean `start_block`?"),
        ("", "Vualt", "unknown key `Vualt`: did you mean `Vault`?"),
        ("start_block = -1", "Vault", "it takes a whole number"),
        ("options = { variant = 'D' }", "Vault", "it can be A, B, C"),
        ("options = { varient = 'A' }", "Vault", "did you mean `variant`?"),
    ],
)
def test_a_users_own_fork_is_checked_key_by_key(
    perpscope, tmp_path, gmx_v1_recording, write_recording, line, contract, complaint
):
    (tmp_path / "perpscope.toml").write_text(DEPLOYMENT.format(line=line, contract=contract))
    recording = write_recording(gmx_v1_recording)
    ran = perpscope("index", "--rpc-url", f"recording:{recording}")
    assert ran.code == 2
    assert complaint in ran.err
    assert not (tmp_path / "perpscope.duckdb").exists()


def test_a_missing_configuration_that_was_named_is_an_error(perpscope):
    ran = perpscope("--config", "nowhere.toml", "index")
    assert (ran.code, "there is no configuration file" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("db = 5", "`db` in perpscope.toml takes text"),
        ("positions = true", "`positions` in perpscope.toml takes text"),
        ("accounts = [1]", "`accounts` in perpscope.toml takes text"),
        ("chain = 'mainnet'", "`chain` in perpscope.toml takes a whole number"),
        ("max_age = 1.5", "`max_age` in perpscope.toml takes a whole number"),
        ("block = true", "`block` in perpscope.toml takes text"),
        ("ignore = 5", "`ignore` in perpscope.toml must be [[ignore]] tables"),
        ("ignore = [5]", "`ignore` in perpscope.toml must be [[ignore]] tables"),
    ],
)
def test_a_value_of_another_kind_is_refused(perpscope, tmp_path, text, complaint):
    (tmp_path / "perpscope.toml").write_text(text)
    ran = perpscope("check")
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err


def test_the_block_of_the_configuration_is_the_one_to_index(perpscope, tmp_path):
    (tmp_path / "perpscope.toml").write_text("block = 'latest'")
    assert perpscope("index", "--rpc-url", RECORDED).code == 0
    for command in (["check", "--exit-zero"], ["show", "markets"], ["export"]):
        assert perpscope(*command).code == 0
    (tmp_path / "perpscope.toml").write_text("block = 17")
    ran = perpscope("index", "--rpc-url", RECORDED)
    assert "block 17 is not in the recording" in ran.err
    assert perpscope("show", "markets").code == 0


def test_the_environment_speaks_for_every_option(perpscope, monkeypatch, tmp_path):
    assert perpscope("index", "--rpc-url", RECORDED).code == 0
    (tmp_path / "perpscope.toml").write_text("fail_on = 'high'\nprotocols = ['gmx_v2']")
    monkeypatch.setenv("PERPSCOPE_PROTOCOL", "gmx_v1")
    monkeypatch.setenv("PERPSCOPE_FAIL_ON", "critical")
    assert perpscope("check", "near_liquidation").code == 0
    assert perpscope("check", "near_liquidation", "--fail-on", "high").code == 1
    monkeypatch.delenv("PERPSCOPE_FAIL_ON")
    assert perpscope("check", "near_liquidation").code == 1
    monkeypatch.setenv("PERPSCOPE_EXIT_ZERO", "1")
    assert perpscope("check", "near_liquidation").code == 0
    monkeypatch.setenv("PERPSCOPE_FORMAT", "csv")
    assert perpscope("check", "near_liquidation").out.startswith("id,")
    assert perpscope("explain", "near_liquidation").code == 0
    monkeypatch.setenv("PERPSCOPE_EXPLAIN_FORMAT", "json")
    assert perpscope("explain", "near_liquidation").out.startswith("[")
    monkeypatch.setenv("PERPSCOPE_DEPLOYMENT", "local-a local-z")
    assert "local-z" not in perpscope("show", "markets").out


@pytest.mark.parametrize("command", ["index", "verify", "doctor"])
def test_one_timeout_in_the_environment_is_that_of_every_command(perpscope, monkeypatch, command):
    monkeypatch.setenv("PERPSCOPE_TIMEOUT", "soon")
    ran = perpscope(command, "--rpc-url", RECORDED)
    assert ran.code == 2
    assert "'soon' is not a valid float" in ran.err


def test_every_option_has_a_variable_and_no_variable_has_two_meanings():
    kinds = {}
    for command in (cli, *(cli.get_command(click.Context(cli), name) for name in COMMANDS)):
        for option in command.params:
            if isinstance(option, click.Option) and option.expose_value:
                variable = option.envvar if isinstance(option.envvar, str) else option.envvar[0]
                kind = (repr(option.type.to_info_dict()), option.multiple, option.name)
                assert kinds.setdefault(variable, kind) == kind
    named = ("TIMEOUT", "PRICE", "BLOCK", "CHECK_BLOCK", "EXPORT_FORMAT", "VERBOSE", "CONFIG")
    assert {f"PERPSCOPE_{name}" for name in named} <= kinds.keys()
