"""GMX v2 (gmx-synthetics): isolated positions in markets of their own pools, one DataStore."""

from analyzer.protocol import Protocol
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.protocols.gmx_v2.deployments import (
    DATA_STORE,
    EVENT_EMITTER,
    OPTIONS,
    READER,
    REFERRAL_STORAGE,
    deployments,
)
from analyzer.protocols.gmx_v2.explain import explain
from analyzer.protocols.gmx_v2.probe import probe
from analyzer.protocols.gmx_v2.replay import events, log_filters, price_filters, replay
from analyzer.protocols.gmx_v2.snapshot import snapshot
from analyzer.protocols.gmx_v2.vectors import verify_vectors
from analyzer.protocols.gmx_v2.verify import verify

PROTOCOL = Protocol(
    takes_prices=True,
    name=NAME,
    title="GMX v2",
    deployments=deployments,
    contracts=(EVENT_EMITTER, DATA_STORE, REFERRAL_STORAGE),
    optional_contracts=(READER,),
    options=OPTIONS,
    probe=probe,
    log_filters=log_filters,
    events=events,
    recent_filters=price_filters,
    replay=replay,
    snapshot=snapshot,
    verify=verify,
    verify_vectors=verify_vectors,
    explain=explain,
)
