"""Which deployments a run covers: the protocols' own, a user's, a recorded chain's."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from analyzer.addresses import parse_address
from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Protocol
from analyzer.protocols import protocols

KEYS: Final = ("protocol", "name", "chain_id", "start_block", "contracts", "options")


def known_deployments() -> list[Deployment]:
    """The deployments that come with the protocols."""
    return [
        deployment for protocol in protocols().values() for deployment in protocol.deployments()
    ]


def deployment_of(table: Mapping[str, Any], where: str, *, for_people: bool = False) -> Deployment:
    """A ``[[deployment]]`` table of a config file or a recorded chain, checked key by key.

    ``for_people`` says that keys which mean nothing are notes for people, not typing mistakes.
    """
    if not for_people:
        refuse_unknown(table, KEYS, where)
    for key in ("protocol", "name", "chain_id", "contracts"):
        if key not in table:
            raise AnalyzerError(f"{where} lacks `{key}`: add it to the [[deployment]]")
    protocol = protocol_of(_name(table, "protocol", where), where)
    contracts = table["contracts"]
    options = table.get("options", {})
    for key, value in (("contracts", contracts), ("options", options)):
        if not isinstance(value, Mapping):
            raise AnalyzerError(f"`{key}` in {where} must be a table of names and values")
    refuse_unknown(
        contracts, (*protocol.contracts, *protocol.optional_contracts), f"`contracts` in {where}"
    )
    for role in protocol.contracts:
        if role not in contracts:
            raise AnalyzerError(f"`contracts` in {where} lacks `{role}`: {protocol.name} needs it")
    _check_options(protocol, options, where)
    return Deployment(
        protocol=protocol.name,
        name=_name(table, "name", where),
        chain_id=whole_number(table["chain_id"], f"`chain_id` in {where}"),
        start_block=whole_number(table.get("start_block", 0), f"`start_block` in {where}"),
        contracts={role: parse_address(str(address)) for role, address in contracts.items()},
        options=dict(options),
    )


def protocol_of(name: str, where: str) -> Protocol:
    """The protocol of that name, or an error that names the nearest one."""
    found = protocols()
    if name not in found:
        raise AnalyzerError(f"{where} names the protocol {name!r}: {nearest(name, found)}")
    return found[name]


def select(
    candidates: Sequence[Deployment],
    *,
    chain_id: int,
    own: Sequence[Deployment] = (),
    protocol_names: Sequence[str] = (),
    deployment_names: Sequence[str] = (),
) -> list[Deployment]:
    """The deployments of one run: those that are named, else the user's own and the official ones.

    ``own`` are the user's and a recorded chain's; they stand in for known ones of the same name.
    Raises ``AnalyzerError`` where two of them have one name and differ.
    """
    own = _distinct(own)
    replaced = {(d.protocol, d.name, d.chain_id) for d in own}
    everything = [
        *own,
        *(d for d in candidates if (d.protocol, d.name, d.chain_id) not in replaced),
    ]
    here = [deployment for deployment in everything if deployment.chain_id == chain_id]
    for name in protocol_names:
        protocol_of(name, "--protocol")
    for name in deployment_names:
        if name not in {d.name for d in here}:
            raise AnalyzerError(
                f"--deployment {name} is not known on chain {chain_id}: "
                f"{nearest(name, [d.name for d in here])}"
            )
    chosen = [
        deployment
        for deployment in here
        if (not protocol_names or deployment.protocol in protocol_names)
        and (
            deployment.name in deployment_names
            if deployment_names
            else deployment.official or deployment in own
        )
    ]
    if not chosen:
        wanted = " and ".join(protocol_names) or "any known protocol"
        raise AnalyzerError(
            f"no deployment of {wanted} is known on chain {chain_id}: name a fork with "
            "--deployment, or describe one as [[deployment]] in perpscope.toml"
        )
    return chosen


def _name(table: Mapping[str, Any], key: str, where: str) -> str:
    name = table[key]
    if not isinstance(name, str) or not name:
        raise AnalyzerError(f"`{key}` in {where} is {name!r}: it takes a name in quotes")
    return name


def _check_options(protocol: Protocol, options: Mapping[str, Any], where: str) -> None:
    refuse_unknown(options, tuple(protocol.options), f"`options` in {where}")
    for name, value in options.items():
        allowed = protocol.options[name]
        if allowed and value not in allowed:
            raise AnalyzerError(
                f"option `{name}` in {where} is {value!r}: it can be {', '.join(allowed)}"
            )


def _distinct(own: Sequence[Deployment]) -> list[Deployment]:
    """Each deployment once: under one name only one can be indexed."""
    found: dict[tuple[str, str, int], Deployment] = {}
    for one in own:
        if found.setdefault((one.protocol, one.name, one.chain_id), one) != one:
            raise AnalyzerError(
                f"two different deployments of {one.protocol} on chain {one.chain_id} are named "
                f"{one.name!r} (in the configuration or the recorded chain): rename one of them"
            )
    return list(found.values())


def refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """An error for the first key that means nothing, with the nearest one that does."""
    known = list(known)
    for key in table:
        if key not in known:
            raise AnalyzerError(f"{where} has an unknown key `{key}`: {nearest(key, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """What was probably meant, or what there is to choose from."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"there is {', '.join(known[:12])}" if known else "there is none to choose from"


def whole_number(value: Any, where: str) -> int:
    """A non-negative whole number from a config file."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise AnalyzerError(f"{where} is {value!r}: it takes a whole number")
    return value
