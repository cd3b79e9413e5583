"""GMX v1 and its forks: one Vault, isolated positions, funding paid to the pool."""

from analyzer.protocol import Protocol
from analyzer.protocols.gmx_v1.deployments import (
    FAST_PRICE_EVENTS,
    NAME,
    OPTIONS,
    VAULT,
    deployments,
)
from analyzer.protocols.gmx_v1.explain import explain
from analyzer.protocols.gmx_v1.normalise import events, log_filters, replay
from analyzer.protocols.gmx_v1.probe import probe
from analyzer.protocols.gmx_v1.snapshot import snapshot
from analyzer.protocols.gmx_v1.vectors import verify_vectors
from analyzer.protocols.gmx_v1.verify import verify

PROTOCOL = Protocol(
    name=NAME,
    title="GMX v1",
    deployments=deployments,
    contracts=(VAULT,),
    optional_contracts=(FAST_PRICE_EVENTS,),
    options=OPTIONS,
    needs_logs=True,
    tells_liquidations=False,
    probe=probe,
    log_filters=log_filters,
    events=events,
    replay=replay,
    snapshot=snapshot,
    verify=verify,
    verify_vectors=verify_vectors,
    explain=explain,
)
