"""A snapshot taken again from a node's own answers, row by row against what is stored of it.

Every state read is asked again, and every verdict, liquidation price and amount is computed anew
from the answers: one read that was answered falsely when it was indexed shows in what rests on it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from analyzer.protocol import Comparison
from analyzer.rows import (
    Balances,
    DataQuality,
    Funding,
    MarginAccounts,
    MarginLegs,
    Markets,
    Positions,
    Prices,
    Snapshots,
    Tokens,
    Totals,
    columns,
)
from analyzer.store import exact_json
from analyzer.store.snapshot_rows import Cells, Rows

UNKNOWN: Final = "unknown"
ABSENT: Final = "not there"
STATES: Final = ("state", "state_stored", "collateral_state")
FLIP: Final = ("liquidation_kind", "liquidation_below", "liquidation_above")
FLIPS: Final = "liquidation prices"
SUBJECTS: Final[Mapping[type, str]] = {
    Snapshots: "the snapshot",
    Tokens: "token {token}",
    Markets: "market {market}",
    Positions: "account {account} {side} in {market}",
    MarginAccounts: "account {account}",
    MarginLegs: "the form of {margin_id} in {price_id}",
    Prices: "price of {token} ({source})",
    Funding: "funding of {market} {side} in {collateral_token}",
    Balances: "account {account}, token {token}",
    Totals: "{name} of {subject}",
    DataQuality: "{kind} of {subject}",
}
WORDING: Final[Mapping[type, Sequence[str]]] = {
    DataQuality: ("detail",),
    MarginAccounts: ("reason",),
    Tokens: ("symbol",),
    Totals: ("reason",),
}
"""Columns that are not compared with the others.

A reason may hold a node's own words, and is compared where the verdicts are known. A token may call
itself something else at another block, and has one row for all of them.
"""


def compare_rows(ours: Mapping[type, Rows], theirs: Mapping[type, Rows], tally: Comparison) -> None:
    """Every row of the stored snapshot and of the one that was taken again, on either side.

    What belongs to an account without a verdict is not compared: it is skipped by name where the
    node's answers give a verdict, and stays as unknown as it is where they do not.
    """
    titles = _titles(theirs[Positions]) | _titles(ours[Positions])
    unknown = _unknown_accounts(ours[MarginAccounts], theirs[MarginAccounts], titles, tally)
    for row_type, rows in ours.items():
        others = theirs[row_type]
        for key in sorted(rows.keys() | others.keys(), key=repr):
            mine, other = rows.get(key), others.get(key)
            shown = mine or other
            assert shown is not None
            margin_id = shown.get("margin_id")
            if margin_id in unknown:
                continue
            subject = titles.get(margin_id) if row_type is MarginAccounts else None
            subject = subject or SUBJECTS[row_type].format_map(shown)
            if mine is None or other is None:
                kind = "verdict" if row_type is MarginAccounts else "value"
                tally.compare(kind, subject, "row", *map(_presence, (mine, other)))
            else:
                _compare_row(row_type, subject, mine, other, tally)


def compare_tokens(ours: Rows, theirs: Rows, tally: Comparison) -> None:
    """What the snapshot says of tokens; the stored rows are also other snapshots'."""
    for key, other in sorted(theirs.items()):
        subject = SUBJECTS[Tokens].format_map(other)
        if key in ours:
            _compare_row(Tokens, subject, ours[key], other, tally)
        else:
            tally.compare("value", subject, "row", ABSENT, _presence(other))


def _titles(positions: Rows) -> dict[Any, str]:
    """Whose margin an isolated position has, with its market."""
    return {
        row["margin_id"]: SUBJECTS[Positions].format_map(row)
        for row in positions.values()
        if row["margin_id"] == row["position_id"]
    }


def _presence(row: Cells | None) -> str:
    return ABSENT if row is None else str(row.get("state", "there"))


def _unknown_accounts(
    ours: Rows, theirs: Rows, titles: Mapping[Any, str], tally: Comparison
) -> set[str]:
    """The margin accounts that are stored without a verdict."""
    unknown: set[str] = set()
    for key, row in sorted(ours.items()):
        if row["state"] != UNKNOWN:
            continue
        margin_id = row["margin_id"]
        unknown.add(margin_id)
        state = _presence(theirs.get(key))
        if state != UNKNOWN:
            title = titles.get(margin_id) or SUBJECTS[MarginAccounts].format_map(row)
            _skip(tally, title, "state", row["reason"], state)
    return unknown


def _compare_row(
    row_type: type, subject: str, ours: Cells, theirs: Cells, tally: Comparison
) -> None:
    kinds = columns(row_type)
    apart = {*STATES, *FLIP, *WORDING.get(row_type, ())}
    if row_type is MarginAccounts:
        _compare_verdicts(subject, ours, theirs, tally)
    if row_type is Positions:
        _compare_flip(subject, ours, theirs, tally)
    for name, value in ours.items():
        other = theirs[name]
        if name in apart or (value is None and other is None):
            continue
        if kinds[name] == "JSON" and value != other:
            _compare_json(subject, name, value, other, tally)
        else:
            tally.compare("value", subject, name, value, other)


def _compare_verdicts(subject: str, ours: Cells, theirs: Cells, tally: Comparison) -> None:
    states = [(name, ours[name], theirs[name]) for name in STATES if ours[name] or theirs[name]]
    for name, state, other in states:
        if state != UNKNOWN:
            tally.compare("verdict", subject, name, state, other)
        elif other != UNKNOWN:
            _skip(tally, subject, name, ours["reason"], other)
    if all(state != UNKNOWN for _, state, _ in states) and (ours["reason"] or theirs["reason"]):
        tally.compare("value", subject, "reason", ours["reason"], theirs["reason"])


def _compare_flip(subject: str, ours: Cells, theirs: Cells, tally: Comparison) -> None:
    """The liquidation prices of a position, which no contract has a view of."""
    mine, other = (_flip_of(row) for row in (ours, theirs))
    if ours["liquidation_kind"] != UNKNOWN:
        tally.compare("flip", subject, "liquidation price", mine, other)
        tally.without_question[FLIPS] += 1
    elif theirs["liquidation_kind"] != UNKNOWN:
        _skip(tally, subject, "liquidation price", "it could not be told", other)


def _flip_of(row: Cells) -> str:
    return " ".join(str(row[name]) for name in FLIP if row[name] is not None)


def _skip(tally: Comparison, subject: str, name: str, reason: Any, other: str) -> None:
    tally.skip(f"{subject}: {name} is unknown to us ({reason}), by this node it is {other}")


def _compare_json(subject: str, name: str, ours: Any, theirs: Any, tally: Comparison) -> None:
    """A column of exact integers: one value, of which the first that differs is named."""
    found = list(_differing(name, _loaded(ours), _loaded(theirs)))
    if not found:
        tally.compare("value", subject, name, "", "")
        return
    path, value, other = found[0]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    tally.compare("value", subject, f"{path}{more}", value, other)


def _loaded(text: str | None) -> Any:
    return None if text is None else exact_json.load(text)


def _differing(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """The innermost values that differ.

    Two that are unknown, or two reverts, do not: the words for it may be a node's own.
    """
    if ours == theirs or (_is_unknown(ours) and _is_unknown(theirs)):
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in {**ours, **theirs}:
            inner = f"{path}.{name}"
            yield from _differing(inner, ours.get(name, ABSENT), theirs.get(name, ABSENT))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differing(f"{path}.{index}", one, other)
    else:
        yield path, ours, theirs


def _is_unknown(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith(f"{UNKNOWN}:")
    return isinstance(value, dict) and (UNKNOWN in value or "revert" in value)
