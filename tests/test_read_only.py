"""perpscope cannot sign and cannot send: not by accident, not by configuration."""

import ast
from pathlib import Path

import pytest

import analyzer
from analyzer.chain import Settings, open_chain
from tests.chain.server import RecordingServer
from tests.conftest import GMX_V1_RECORDING

SOURCES = sorted(Path(analyzer.__file__).parent.rglob("*.py"))
READING = {
    "eth_chainId",
    "eth_blockNumber",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getBlockReceipts",
    "eth_getLogs",
    "eth_call",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_subscribe",
    "net_version",
}


def test_no_module_imports_anything_that_signs():
    forbidden = ("eth_account", "eth_keys", "eth_keyfile")
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(name.split(".")[0] in forbidden for name in names), path


def test_only_reading_methods_are_named_anywhere():
    named = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                prefixes = ("eth_", "personal_", "wallet_", "admin_", "debug_", "anvil_")
                if text.startswith(prefixes) and text.replace("_", "").isalnum():
                    named.add(text)
    assert {name for name in named if name.startswith("eth_") and name != "eth_account"} <= READING
    assert not any(name.startswith(("personal_", "wallet_", "admin_")) for name in named)


@pytest.mark.parametrize(
    "method",
    ["eth_sendRawTransaction", "eth_sendTransaction", "eth_sign", "eth_accounts", "personal_sign"],
)
def test_any_other_method_is_refused_before_it_is_sent(method):
    with RecordingServer(GMX_V1_RECORDING) as server:
        chain = open_chain([server.url], settings=Settings())
        try:
            with pytest.raises(PermissionError, match=method):
                chain._rpc.call(method, [])
        finally:
            chain.close()
        assert server.calls == []
