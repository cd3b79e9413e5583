"""ENS names to addresses, through web3 on a mainnet node, by our own read-only requests."""

from typing import Any, Final

import msgspec

from analyzer.chain.failure import Kind, RpcFailure, sentence
from analyzer.chain.hiding import Hider, host_label
from analyzer.chain.settings import Settings
from analyzer.errors import AnalyzerError

MAINNET: Final = 1


def resolve_ens(url: str, name: str, settings: Settings | None = None) -> str:
    """The lower-case address that an ENS name points to.

    Raises ``AnalyzerError`` for a name that is not valid, points nowhere, or needs a gateway
    outside the chain (we ask nobody but the node), and where the node fails or is not on mainnet.
    """
    from ens import ENS  # type: ignore[import-untyped]  # noqa: PLC0415  web3 is slow to import
    from ens.exceptions import ENSException  # type: ignore[import-untyped]  # noqa: PLC0415
    from web3.exceptions import OffchainLookup, Web3Exception  # noqa: PLC0415
    from web3.providers import BaseProvider  # noqa: PLC0415

    from analyzer.chain.rpc import Rpc  # noqa: PLC0415
    from analyzer.chain.transport import connect  # noqa: PLC0415

    settings = settings or Settings()
    label = host_label(url)
    rpc = Rpc(connect(url, settings), Hider(url), settings, lambda _: None)

    class ThroughRpc(BaseProvider):
        """Hands web3's questions to our RPC, which lets only reads through."""

        global_ccip_read_enabled = False

        def make_request(self, method: Any, params: Any) -> Any:
            try:
                result: Any = msgspec.json.decode(rpc.call(str(method), list(params)))
            except RpcFailure as failure:
                if failure.kind is not Kind.REVERT:
                    raise
                error = {"code": 3, "message": failure.words, "data": failure.data}
                return {"jsonrpc": "2.0", "id": 1, "error": error}
            return {"jsonrpc": "2.0", "id": 1, "result": result}

    try:
        if (chain_id := int(msgspec.json.decode(rpc.call("eth_chainId", [])), 16)) != MAINNET:
            raise AnalyzerError(
                f"{label} is on chain {chain_id}, but ENS names live on chain 1: set a mainnet RPC "
                "URL for names, or give the address"
            )
        resolver = ENS(ThroughRpc())
        resolver.w3.middleware_onion.remove("stalecheck")
        address = resolver.address(name)
    except RpcFailure as failure:
        raise sentence(failure, label, f"the ENS name {name}") from None
    except OffchainLookup:
        raise AnalyzerError(
            f"the ENS name {name} is kept outside the chain: give the address instead"
        ) from None
    except (ENSException, Web3Exception, ValueError, TypeError) as error:
        why = Hider(url).clear(str(error))
        raise AnalyzerError(f"{name} cannot be resolved as an ENS name ({why})") from None
    finally:
        rpc.close()
    if address is None:
        raise AnalyzerError(
            f"the ENS name {name} points to no address: check it, or give the address"
        )
    return str(address).lower()
