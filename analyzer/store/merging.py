"""What a snapshot does to an earlier one of the same block of the same deployment.

One that covers every account of the earlier one takes its place. One of other accounts joins it:
the scope is then both scopes, the rows of its accounts replace theirs, and what belongs to no
account stays as a full snapshot has it. An incomplete one changes nothing in a complete one, and
what joins an incomplete one does not make it whole. After a reorganisation the earlier one was of
another block, and nothing of it stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from duckdb import DuckDBPyConnection

from analyzer.rows import TABLES, At, MarginLegs, Row, Snapshots
from analyzer.store.database import first
from analyzer.store.views import ACCOUNT_TABLES, ENTITIES, READ
from analyzer.store.writing import write

Effect = Literal["replaces", "joins", "adds nothing"]

HERE: Final = "chain_id = ? and protocol = ? and deployment = ? and block_number = ?"
BASES: Final = "; "
"""What stands between two price bases."""


def effect_of(connection: DuckDBPyConnection, snapshot: Snapshots) -> Effect:
    """What a snapshot does to the stored one of its block, if there is any."""
    stored = _stored(connection, snapshot.at)
    if stored is None or stored.block_hash != snapshot.block_hash:
        return "replaces"
    if stored.complete and not snapshot.complete:
        return "adds nothing"
    covers = snapshot.scope == "all" or _accounts(stored) <= _accounts(snapshot)
    return "replaces" if covers else "joins"


def join(connection: DuckDBPyConnection, snapshot: Snapshots, rows: Sequence[Row]) -> None:
    """Put a snapshot's rows into the stored one of its block."""
    stored = _stored(connection, snapshot.at)
    assert stored is not None
    here = _here(snapshot.at)
    accounts = _accounts(snapshot)
    accounts |= {row.account for row in rows if isinstance(row, ACCOUNT_TABLES)}
    _forget_accounts(connection, here, sorted(accounts))
    if stored.scope == "all":
        rows = list(_unknown(connection, here, rows))
    else:
        _forget_entities(connection, here, rows)
    connection.execute(f"delete from snapshots where {HERE}", here)
    write(connection, [_joined(stored, snapshot), *(r for r in rows if r is not snapshot)])
    connection.execute(
        f"delete from data_quality where {HERE} and log_index = -1 and rowid not in ("
        f"select max(rowid) from data_quality where {HERE} and log_index = -1"
        " group by kind, subject)",
        [*here, *here],
    )


def _joined(stored: Snapshots, snapshot: Snapshots) -> Snapshots:
    scope = ",".join(sorted(_accounts(stored) | _accounts(snapshot)))
    bases = {*stored.price_basis.split(BASES), *snapshot.price_basis.split(BASES)}
    is_same = bases == set(stored.price_basis.split(BASES))
    return replace(
        stored,
        scope="all" if stored.scope == "all" else scope,
        price_basis=stored.price_basis if is_same else BASES.join(sorted(bases)),
        complete=stored.complete and snapshot.complete,
    )


def _stored(connection: DuckDBPyConnection, at: At) -> Snapshots | None:
    row = first(
        connection,
        "select block_hash, epoch(block_time)::bigint, scope, positions_from, price_basis,"
        " complete, books"
        f" from snapshots where {HERE}",
        _here(at),
    )
    if row is None:
        return None
    block_hash, block_time, scope, positions_from, price_basis, complete, books = row
    return Snapshots(
        at=at,
        block_hash=block_hash,
        block_time=block_time,
        scope=scope,
        positions_from=positions_from,
        price_basis=price_basis,
        complete=complete,
        books=books,
    )


def _forget_accounts(
    connection: DuckDBPyConnection, here: Sequence[Any], accounts: Sequence[str]
) -> None:
    connection.execute(
        f"delete from {TABLES[MarginLegs]} where {HERE} and margin_id in ("
        f"select margin_id from margin_accounts where {HERE} and list_contains(?, account))",
        [*here, *here, accounts],
    )
    for row_type in ACCOUNT_TABLES:
        connection.execute(
            f"delete from {TABLES[row_type]} where {HERE} and list_contains(?, account)",
            [*here, accounts],
        )


def _forget_entities(
    connection: DuckDBPyConnection, here: Sequence[Any], rows: Sequence[Row]
) -> None:
    for row_type, name in ENTITIES.items():
        known = sorted({getattr(row, name) for row in rows if isinstance(row, row_type)})
        connection.execute(
            f"delete from {TABLES[row_type]} where {HERE} and list_contains(?, {name})"
            f" and {READ.get(row_type, 'true')}",
            [*here, known],
        )


def _unknown(
    connection: DuckDBPyConnection, here: Sequence[Any], rows: Sequence[Row]
) -> Iterator[Row]:
    """The rows without those about what the stored snapshot knows already."""
    known: dict[type, set[str]] = {
        row_type: {
            value
            for (value,) in connection.execute(
                f"select distinct {name} from {TABLES[row_type]} where {HERE}"
                f" and {READ.get(row_type, 'true')}",
                here,
            ).fetchall()
        }
        for row_type, name in ENTITIES.items()
    }
    for row in rows:
        if type(row) not in known or getattr(row, ENTITIES[type(row)]) not in known[type(row)]:
            yield row


def _accounts(snapshot: Snapshots) -> set[str]:
    return set(snapshot.scope.split(","))


def _here(at: At) -> list[Any]:
    return [at.chain_id, at.protocol, at.deployment, at.block_number]
