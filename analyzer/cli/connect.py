"""Opening the chain that a command line names, and the deployments that it brings along."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from analyzer.chain import Progress, Settings, open_chain
from analyzer.chain.interface import Chain
from analyzer.cli.config import Config
from analyzer.errors import AnalyzerError
from analyzer.indexer.deployments import deployment_of, known_deployments, select
from analyzer.protocol import Deployment


def settings_of(given: Mapping[str, Any]) -> Settings:
    """How the node is spoken to, from the options that were given."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


def connect(
    urls: Sequence[str],
    chain_id: int | None,
    settings: Settings | None = None,
    record: Path | None = None,
    *,
    cross_check: int = 0,
    talk: int = 0,
) -> Chain:
    """The chain, after checking that it is the one the user meant; ``talk`` is ``Config.talk``."""
    if not urls:
        raise AnalyzerError(
            "no node is named: set --rpc-url or ETH_RPC_URL, or try `perpscope demo` without one"
        )
    chain = open_chain(
        urls, settings=settings, record=record, progress=_notes(talk), cross_check=cross_check
    )
    if chain_id is not None and chain.chain_id() != chain_id:
        found = chain.chain_id()
        chain.close()
        raise AnalyzerError(
            f"{chain.label} is chain {found}, not {chain_id}: check --chain and --rpc-url"
        )
    return chain


def _notes(talk: int) -> Callable[[Progress], None]:
    """Passes on to stderr what a chain has to say: a pause, or that another node goes on."""

    def note(progress: Progress) -> None:
        if progress.note and talk >= 0:
            click.echo(progress.note, err=True)

    return note


def deployments_for(
    chain: Chain, config: Config, protocols: Sequence[str], names: Sequence[str]
) -> list[Deployment]:
    """The deployments of this run; ``config`` and a recorded chain may bring their own."""
    where = config.path.name if config.path else "the configuration"
    own = [deployment_of(table, where) for table in config.deployment_tables]
    recorded = chain.deployments
    if not isinstance(recorded, list | tuple) or not all(isinstance(t, dict) for t in recorded):
        raise AnalyzerError(f"`deployments` in the {chain.label} must be a list of objects")
    own += [deployment_of(table, f"the {chain.label}", for_people=True) for table in recorded]
    return select(
        known_deployments(),
        chain_id=chain.chain_id(),
        own=own,
        protocol_names=protocols,
        deployment_names=names,
    )
