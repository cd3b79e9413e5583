"""Normalised rows: replaced range by range, and read back as exact state."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment, StoredAccount, StoredPosition
from analyzer.rows import Deployments, Row, Snapshots, Tokens
from analyzer.store import exact_json, merging
from analyzer.store.keys import MINE, NAMED, key, named
from analyzer.store.schema import LOG_ROW_TABLES, SNAPSHOT_TABLES
from analyzer.store.writing import write

READ_TABLES: Final = ("prices", "funding", "data_quality")


@dataclass(frozen=True, slots=True)
class SnapshotAt:
    """A stored snapshot that can be verified, explained or exported."""

    chain_id: int
    protocol: str
    deployment: str
    block_number: int
    block_hash: str
    block_time: int
    scope: str
    price_basis: str
    complete: bool


def put_events(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    from_block: int,
    to_block: int,
    rows: Iterable[Row],
) -> None:
    """Put what a range of logs said in place of what stood there."""
    for table in LOG_ROW_TABLES:
        connection.execute(
            f"delete from {table} where {MINE} and block_number between ? and ? and log_index >= 0",
            [*key(deployment), from_block, to_block],
        )
    write(connection, rows)


def put_snapshot(
    connection: DuckDBPyConnection, deployment: Deployment, block: int, rows: Sequence[Row]
) -> merging.Effect:
    """Store a snapshot's rows, beside an earlier snapshot of the same block or in its place."""
    (snapshot,) = [row for row in rows if isinstance(row, Snapshots)]
    effect = merging.effect_of(connection, snapshot)
    if effect == "adds nothing":
        return effect
    _forget_entities(connection, rows)
    if effect == "joins":
        merging.join(connection, snapshot, rows)
    else:
        forget_snapshot(connection, deployment, block)
        write(connection, rows)
    return effect


def forget_snapshot(connection: DuckDBPyConnection, deployment: Deployment, block: int) -> None:
    """Drop the normalised rows of one snapshot."""
    _forget_snapshots(connection, deployment, "block_number = ?", block)


def forget_after(connection: DuckDBPyConnection, deployment: Deployment, block: int) -> None:
    """Drop every normalised row above a block: the chain has taken another way there."""
    for table in LOG_ROW_TABLES:
        connection.execute(
            f"delete from {table} where {MINE} and block_number > ?",
            [*key(deployment), block],
        )
    _forget_snapshots(connection, deployment, "block_number > ?", block)


def state(
    connection: DuckDBPyConnection, deployment: Deployment, block: int
) -> dict[str, Mapping[str, Any]]:
    """The exact state that all logs up to a block left behind, by state key."""
    rows = connection.execute(
        "select state_key, arg_max({'after': after}, (block_number, log_index)).after"
        f" from position_events where {MINE} and block_number <= ? group by state_key"
        " order by state_key",
        [*key(deployment), block],
    ).fetchall()
    return {name: exact_json.load(after) for name, after in rows if after is not None}


def state_before(
    connection: DuckDBPyConnection, deployment: Deployment, block: int
) -> dict[str, Any]:
    """What was, at a block, the state of every key that has changed since; ``None`` for none."""
    rows = connection.execute(
        "select changed.state_key,"
        " arg_max({'after': e.after}, (e.block_number, e.log_index))"
        "   filter (where e.block_number <= $block).after"
        f" from (select distinct state_key from position_events where {NAMED}"
        "   and block_number > $block) as changed"
        f" inner join (from position_events where {NAMED}) as e using (state_key)"
        " group by changed.state_key",
        named(deployment) | {"block": block},
    ).fetchall()
    return {name: None if after is None else exact_json.load(after) for name, after in rows}


def snapshots(connection: DuckDBPyConnection) -> list[SnapshotAt]:
    """The snapshots that the ``current_`` views show, several of a deployment where they do."""
    rows = connection.execute(
        "select chain_id, protocol, deployment, block_number, block_hash,"
        " epoch(block_time)::bigint, scope, price_basis, complete from current_snapshots"
        " order by chain_id, protocol, deployment, block_number"
    ).fetchall()
    return [SnapshotAt(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Certainty:
    """How much of what is shown of a deployment is certain; amounts in whole USD.

    ``unmeasured`` counts positions and totals whose size is not known.
    """

    accounts: int
    unknown_accounts: int
    certain_usd: int
    uncertain_usd: int
    unmeasured: int

    def text(self) -> str:
        """The share of accounts and of open interest that is certain, rounded down."""
        accounts = _share(self.accounts - self.unknown_accounts, self.accounts)
        size = _share(self.certain_usd, self.certain_usd + self.uncertain_usd)
        unmeasured = f" ({self.unmeasured:,} of unknown size)" if self.unmeasured else ""
        return f"{accounts} of the accounts and {size} of the open interest are certain{unmeasured}"


def _share(part: int, whole: int) -> str:
    if whole == 0:
        return "none"
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02} %"


def certainty(connection: DuckDBPyConnection) -> dict[tuple[int, str, str], Certainty]:
    """How certain what the ``current_`` views show is, by chain, protocol and deployment."""
    rows = connection.execute(
        "select chain_id, protocol, deployment, accounts, unknown_accounts,"
        " certain_usd::bigint, uncertain_usd::bigint, unmeasured from current_certainty"
    ).fetchall()
    return {(chain, protocol, name): Certainty(*counts) for chain, protocol, name, *counts in rows}


@dataclass(frozen=True, slots=True)
class Unbalanced:
    """A total that is not what the positions add up to; ``stated`` is null if it was not read."""

    block_number: int
    name: str
    subject: str
    stated: str | None
    summed: str


@dataclass(frozen=True, slots=True)
class Totalled:
    """How many totals the newest snapshots hold, and those that do not balance.

    ``is_proven`` is false where a snapshot of all accounts has nothing to balance it by.
    """

    count: int
    unbalanced: list[Unbalanced]
    is_proven: bool


def books(connection: DuckDBPyConnection, deployment: Deployment) -> Totalled:
    """The protocol's own totals beside what the positions of the newest snapshots add up to."""
    rows = connection.execute(
        "select is_balanced, block_number, name, subject, stated, summed from current_totals"
        f" where {MINE} order by total_id",
        key(deployment),
    ).fetchall()
    unbalanced = [Unbalanced(*rest) for balanced, *rest in rows if not balanced]
    claims = connection.execute(
        f"select books from current_snapshots where {MINE}", key(deployment)
    ).fetchall()
    return Totalled(len(rows), unbalanced, ("unbalanced",) not in claims)


def accounts(connection: DuckDBPyConnection, snapshot: SnapshotAt) -> list[StoredAccount]:
    """The margin accounts for which a snapshot is the newest, with positions and exact integers."""
    at = [snapshot.chain_id, snapshot.protocol, snapshot.deployment, snapshot.block_number]
    positions: dict[str, list[StoredPosition]] = defaultdict(list)
    for *names, inputs, outputs in connection.execute(
        "select position_id, margin_id, account, market, side, collateral_token, inputs, outputs"
        f" from current_positions where {MINE} and block_number = ? order by position_id",
        at,
    ).fetchall():
        position_id, margin_id, account, market, side, collateral_token = names
        positions[margin_id].append(
            StoredPosition(
                position_id=position_id,
                margin_id=margin_id,
                account=account,
                market=market,
                side=side,
                collateral_token=collateral_token,
                inputs=exact_json.load(inputs),
                outputs=exact_json.load(outputs),
            )
        )
    return [
        StoredAccount(
            margin_id=margin_id,
            account=account,
            state=state_now,
            state_stored=state_stored,
            reason=reason,
            inputs=exact_json.load(inputs),
            outputs=exact_json.load(outputs),
            positions=positions.get(margin_id, []),
        )
        for margin_id, account, state_now, state_stored, reason, inputs, outputs in (
            connection.execute(
                "select margin_id, account, state, state_stored, reason, inputs, outputs"
                f" from current_margin_accounts where {MINE} and block_number = ?"
                " order by margin_id",
                at,
            ).fetchall()
        )
    ]


def _forget_snapshots(
    connection: DuckDBPyConnection, deployment: Deployment, where: str, block: int
) -> None:
    for table in SNAPSHOT_TABLES:
        connection.execute(
            f"delete from {table} where {MINE} and {where}",
            [*key(deployment), block],
        )
    for table in READ_TABLES:
        connection.execute(
            f"delete from {table} where {MINE} and {where} and log_index = -1",
            [*key(deployment), block],
        )


def _forget_entities(connection: DuckDBPyConnection, rows: Sequence[Row]) -> None:
    """Tokens and deployments have one row each, whatever block described them last."""
    tokens = [(row.chain_id, row.token) for row in rows if isinstance(row, Tokens)]
    if tokens:
        connection.execute(
            "delete from tokens where (chain_id, token) in (select unnest(?), unnest(?))",
            [[chain for chain, _ in tokens], [token for _, token in tokens]],
        )
    for row in rows:
        if isinstance(row, Deployments):
            connection.execute(
                f"delete from deployments where {MINE}",
                [row.chain_id, row.protocol, row.deployment],
            )
