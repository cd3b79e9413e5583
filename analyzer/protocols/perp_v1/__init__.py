"""Perpetual Protocol v1 and its forks: isolated margin on virtual AMMs."""

from analyzer.protocol import Protocol
from analyzer.protocols.perp_v1.deployments import (
    CLEARING_HOUSE,
    INSURANCE_FUND,
    NAME,
    OPTIONS,
    VIEWER,
    deployments,
)
from analyzer.protocols.perp_v1.explain import explain
from analyzer.protocols.perp_v1.probe import probe
from analyzer.protocols.perp_v1.replay import events, log_filters, replay
from analyzer.protocols.perp_v1.snapshot import snapshot
from analyzer.protocols.perp_v1.vectors import verify_vectors
from analyzer.protocols.perp_v1.verify import verify

PROTOCOL = Protocol(
    name=NAME,
    title="Perpetual Protocol v1",
    deployments=deployments,
    contracts=(CLEARING_HOUSE, INSURANCE_FUND),
    optional_contracts=(VIEWER,),
    options=OPTIONS,
    needs_logs=True,
    probe=probe,
    log_filters=log_filters,
    events=events,
    replay=replay,
    snapshot=snapshot,
    verify=verify,
    verify_vectors=verify_vectors,
    explain=explain,
)
