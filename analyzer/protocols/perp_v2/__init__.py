"""Perpetual Protocol v2 (Curie) and its forks: cross margin, many markets, many collaterals."""

from analyzer.protocol import Protocol
from analyzer.protocols.perp_v2.contracts import PROTOCOL_NAME, ROLES
from analyzer.protocols.perp_v2.deployment_options import OPTIONS
from analyzer.protocols.perp_v2.deployments import deployments
from analyzer.protocols.perp_v2.explain import explain
from analyzer.protocols.perp_v2.probe import probe
from analyzer.protocols.perp_v2.replay import events, log_filters, replay
from analyzer.protocols.perp_v2.snapshot import snapshot
from analyzer.protocols.perp_v2.verify import verify
from analyzer.protocols.perp_v2.verify_vectors import verify_vectors

PROTOCOL = Protocol(
    name=PROTOCOL_NAME,
    title="Perpetual Protocol v2",
    deployments=deployments,
    contracts=ROLES,
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
