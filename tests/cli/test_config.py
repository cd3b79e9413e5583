"""The configuration file says what it means, or an error says what it should."""

import pytest


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
chain_id = 31337
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
