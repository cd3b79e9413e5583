"""First contact: which release keeps this DataStore, told from the words that it holds."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Probe
from analyzer.protocols.gmx_v2.datastore import DataStore
from analyzer.protocols.gmx_v2.deployments import DATA_STORE
from analyzer.protocols.gmx_v2.releases import V2_1, V2_2B, V2_2C, Release, release_named
from analyzer.protocols.gmx_v2.words import MARKET_LIST, release_words
from analyzer.reads import Failed, Read, Reads

PAGE: Final = 1000
"""Members of a set that are read at once."""
MOST_MEMBERS: Final = 10_000_000


def probe(deployment: Deployment) -> Reads[Probe]:
    """The release; raises ``AnalyzerError`` where this is no GMX v2 or its release is unclear.

    Releases differ in the words they use, and a word that a release does not use was never
    written before it: so the newest words that are set tell the release. Contract addresses do
    not enter.
    """
    address = deployment.contracts[DATA_STORE].lower()
    store = DataStore(address)
    values = yield {"markets": store.count("MARKET_LIST", "getAddressCount", MARKET_LIST)}
    count = values["markets"]
    if isinstance(count, Failed):
        raise AnalyzerError(
            f"{deployment.name}: there is no GMX v2 DataStore at {address} ({count.reason}): "
            "check the address and the chain"
        )
    markets = yield from set_members(store, "getAddressValuesAt", {"": (MARKET_LIST, count)})
    questions: dict[Any, Read] = {
        (market, name): store.read(name, word)
        for market in markets[""]
        for name, word in release_words(market)
    }
    found: Mapping[Any, Any] = (yield questions) if questions else {}
    is_set = {name for (_, name), value in found.items() if not isinstance(value, Failed) and value}
    told = _told(is_set)
    named = deployment.options.get("release")
    asked = release_named(str(named)) if named is not None else None
    if told is None and asked is None:
        raise AnalyzerError(
            f"{deployment.name}: no market at {address} shows which release of GMX v2 this is "
            f"(set: {', '.join(sorted(is_set)) or 'nothing'}): set option `release` of the "
            "deployment if you know it"
        )
    if told is not None and asked is not None and told != asked:
        raise AnalyzerError(
            f"{deployment.name}: option `release` says {asked.name}, but the words at {address} "
            f"are those of {told.name}: correct the option, or leave it out"
        )
    release = told or asked
    assert release is not None
    facts = {"told_by": "words" if told else "option", "markets": len(markets[""])}
    return Probe(release.name, facts)


def _told(is_set: set[str]) -> Release | None:
    by_side = {"MAX_FUNDING_FACTOR_PER_SECOND:long", "MAX_FUNDING_FACTOR_PER_SECOND:short"}
    if is_set & (by_side | {"MIN_FUNDING_INCREASE_RATE_PER_SECOND"}):
        return V2_2C
    exponent = "POSITION_IMPACT_EXPONENT_FACTOR"
    if is_set & {f"{exponent}:positive", f"{exponent}:negative"}:
        return V2_2B
    if exponent in is_set and "MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION" not in is_set:
        return V2_1
    return None


def set_members(
    store: DataStore, getter: str, sets: Mapping[Any, tuple[bytes, int]]
) -> Reads[dict[Any, list[Any]]]:
    """The members of sets of known sizes, in pages, all in one round.

    Raises ``AnalyzerError`` where a page has fewer members than the set's size promises: a part
    must never pass for the whole.
    """
    for name, (_, count) in sets.items():
        if count > MOST_MEMBERS:
            raise AnalyzerError(
                f"a DataStore set {name} claims {count} members, which no chain can hold: "
                "check the deployment's address"
            )
    pages = {
        (name, start): store.page(getter, set_key, start, start + PAGE)
        for name, (set_key, count) in sets.items()
        for start in range(0, count, PAGE)
    }
    values: Mapping[Any, Any] = (yield pages) if pages else {}
    members: dict[Any, list[Any]] = {name: [] for name in sets}
    for (name, _), page in values.items():
        if isinstance(page, Failed):
            raise AnalyzerError(f"a page of a DataStore set could not be read: {page.reason}")
        members[name] += page
    for name, (_, count) in sets.items():
        _check_count(members[name], count)
    return members


def _check_count(members: Sequence[Any], count: int) -> None:
    if len(members) != count or len(set(members)) != count:
        raise AnalyzerError(
            f"a DataStore set of {count} members answered {len(set(members))} different ones: "
            "the node does not answer from one block; try another one"
        )
