"""The ``current_`` views: what is newest, account by account and deployment by deployment.

A full snapshot covers every account as of its block; a later one of some accounts takes its place
for those alone. What belongs to no account (markets, prices, funding) is shown as the full snapshot
has it, for only that sums up all accounts; what it does not know, as the newest other one has it.

Beside one view per table there are ``current_scopes``, ``current_price_exposure`` and
``current_certainty``. The newest snapshot is shown whether it is complete or not: what it does not
know is ``unknown`` in it, and it says so.
"""

from collections.abc import Sequence
from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.rows import (
    TABLES,
    Balances,
    DataQuality,
    Funding,
    MarginAccounts,
    MarginLegs,
    Markets,
    Positions,
    Prices,
    Totals,
)

ACCOUNT_TABLES: Final = (Positions, MarginAccounts, Balances)
"""Tables whose rows belong to an account; those of ``MarginLegs`` do through their margin id."""

ENTITIES: Final[dict[type, str]] = {
    Markets: "market",
    Prices: "price_id",
    Funding: "market",
    Totals: "total_id",
}
"""Tables whose rows belong to no account, and the column that says what a row is about."""

READ: Final[dict[type, str]] = {Prices: "log_index = -1", Funding: "log_index = -1"}
"""Which rows of a table that also holds rows of logs are a snapshot's."""

SCOPES: Final = """
create or replace {temporary} view current_scopes as
with answering as (
    select chain_id, protocol, deployment, block_number, scope
    from snapshots
    where {complete}
    qualify block_number >= coalesce(
        max(block_number) filter (where scope = 'all')
            over (partition by chain_id, protocol, deployment),
        block_number
    )
),
named as (
    select
        chain_id, protocol, deployment, block_number,
        unnest(string_split(scope, ',')) as account
    from answering
),
newest as (
    select *
    from named
    qualify row_number() over (
        partition by chain_id, protocol, deployment, account
        order by block_number desc
    ) = 1
)
select *
from newest
where {narrowed};
"""
"""Which block answers for whom: one row per account that a snapshot names, and one for ``all`` the
others where there is a full snapshot."""

NARROWED: Final = """
account in ({accounts})
or account = 'all' and {count} > (
    select count(*)
    from newest as own
    where own.account in ({accounts})
        and own.chain_id = newest.chain_id
        and own.protocol = newest.protocol
        and own.deployment = newest.deployment
)
"""

SNAPSHOTS: Final = """
create or replace {temporary} view current_snapshots as
select snapshots.*
from snapshots
semi join current_scopes using (chain_id, protocol, deployment, block_number);
"""

OF_ACCOUNTS: Final = """
create or replace {temporary} view current_{table} as
with shown as (
    select distinct
        chain_id, protocol, deployment, block_number,
        arg_max(block_number, (account = 'all', block_number))
            over (partition by chain_id, protocol, deployment) as block_of_others
    from current_scopes
)
select rows.*
from {table} as rows
inner join shown using (chain_id, protocol, deployment, block_number)
left join current_scopes as own using (chain_id, protocol, deployment, account)
where rows.block_number = coalesce(own.block_number, shown.block_of_others);
"""

OF_MARGIN_IDS: Final = """
create or replace {temporary} view current_{table} as
with superseded as (
    select chain_id, protocol, deployment, held.block_number, margin_id
    from margin_accounts as held
    inner join current_scopes as own using (chain_id, protocol, deployment, account)
    where held.block_number <> own.block_number
)
select rows.*
from {table} as rows
semi join current_snapshots as snapshot using (chain_id, protocol, deployment, block_number)
anti join superseded using (chain_id, protocol, deployment, block_number, margin_id);
"""

OF_ENTITIES: Final = """
create or replace {temporary} view current_{table} as
select rows.*
from {table} as rows
inner join current_snapshots as snapshot using (chain_id, protocol, deployment, block_number)
where {read}
qualify rows.block_number = arg_max(
    rows.block_number, (snapshot.scope = 'all', rows.block_number)
) over (partition by rows.chain_id, rows.protocol, rows.deployment, rows.{entity});
"""

COMPLAINTS: Final = """
create or replace {temporary} view current_{table} as
select rows.*
from {table} as rows
semi join current_snapshots as snapshot
    on rows.chain_id = snapshot.chain_id
    and rows.protocol = snapshot.protocol
    and rows.deployment = snapshot.deployment
    and rows.block_number <= snapshot.block_number
    and (rows.log_index >= 0 or rows.block_number = snapshot.block_number);
"""

PRICE_EXPOSURE: Final = """
create or replace {temporary} view current_price_exposure as
with quoted as (
    select distinct chain_id, protocol, deployment, price_id, token, asset
    from current_prices
),
legs as (
    select distinct chain_id, protocol, deployment, price_id, margin_id
    from current_margin_legs
),
hanging as (
    select chain_id, protocol, deployment, price_id, size_usd
    from legs
    inner join current_positions using (chain_id, protocol, deployment, margin_id)
    where liquidation_kind <> 'unknown'
    union all
    select quoted.chain_id, quoted.protocol, quoted.deployment, price_id, size_usd
    from quoted
    inner join current_positions as held
        on quoted.chain_id = held.chain_id
        and quoted.protocol = held.protocol
        and quoted.deployment = held.deployment
        and (quoted.token = held.market or quoted.asset = held.asset)
    where held.liquidation_kind = 'unknown'
)
select
    chain_id, protocol, deployment, price_id,
    count(*) as positions,
    sum(size_usd) filter (where size_usd < 1000000000000) as positions_usd,
    count(*) filter (where coalesce(size_usd >= 1000000000000, true)) as positions_unsized
from hanging
group by chain_id, protocol, deployment, price_id;
"""
"""The open positions that hang on each price: one row per price that any position hangs on.

A position hangs on the prices in its margin account's form; one without a form on those of its
market and asset. ``positions_usd`` leaves out the ``positions_unsized``: of unknown size, or so
large (1e12 USD) that a sum might overflow.
"""


CERTAINTY: Final = """
create or replace {temporary} view current_certainty as
with accounts as (
    select
        chain_id, protocol, deployment,
        count(*) as accounts,
        count(*) filter (where state = 'unknown') as unknown_accounts
    from current_margin_accounts
    group by chain_id, protocol, deployment
),
sizes as (
    select
        chain_id, protocol, deployment,
        sum(size_usd) filter (where state <> 'unknown' and size_usd < 1000000000000) as certain_usd,
        sum(size_usd) filter (where state = 'unknown' and size_usd < 1000000000000) as unknown_usd,
        count(*) filter (where coalesce(size_usd >= 1000000000000, true)) as unsized
    from current_positions
    left join current_margin_accounts using (
        chain_id, protocol, deployment, block_number, margin_id
    )
    group by chain_id, protocol, deployment
),
misses as (
    select
        chain_id, protocol, deployment,
        sum(least(abs(difference_usd), 1000000000000)) as missing_usd,
        count(*) filter (where difference_usd is null) as unmeasured
    from current_totals
    where not is_balanced and measures = 'size'
    group by chain_id, protocol, deployment
)
select
    shown.chain_id, shown.protocol, shown.deployment,
    coalesce(accounts.accounts, 0) as accounts,
    coalesce(accounts.unknown_accounts, 0) as unknown_accounts,
    coalesce(certain_usd, 0) as certain_usd,
    coalesce(unknown_usd, 0) + coalesce(missing_usd, 0) as uncertain_usd,
    coalesce(unsized, 0) + coalesce(misses.unmeasured, 0) as unmeasured
from (select distinct chain_id, protocol, deployment from current_scopes) as shown
left join accounts using (chain_id, protocol, deployment)
left join sizes using (chain_id, protocol, deployment)
left join misses using (chain_id, protocol, deployment);
"""
"""How much of what is shown is certain: one row per deployment.

``uncertain_usd`` is the size of the positions of unknown accounts and what the protocol's totals
miss; ``unmeasured`` counts what has no size (or one of 1e12 USD, of which no sum is made).
"""


def create_views(
    connection: DuckDBPyConnection,
    block: int | None = None,
    accounts: Sequence[str] = (),
    *,
    complete: bool = False,
) -> None:
    """The views for good; with a block, accounts or ``complete``, temporary ones that shadow them.

    As of a block, later snapshots have not been taken. For accounts, the newest snapshots that
    cover them are all there is, so that their rows and the prices beside them share a block.
    ``complete`` passes over snapshots that are not.
    """
    temporary = "temporary" if block is not None or accounts or complete else ""
    if block is not None:
        (catalog,) = connection.execute("select current_database()").fetchall()[0]
        name = '"' + catalog.replace('"', '""') + '".main.snapshots'
        connection.execute(
            "create or replace temporary view snapshots as"
            f" select * from {name} where block_number <= {int(block)}"
        )
    scopes = SCOPES.format(
        temporary=temporary,
        complete="complete" if complete else "true",
        narrowed=_narrowed(accounts),
    )
    connection.execute(scopes)
    connection.execute(SNAPSHOTS.format(temporary=temporary))
    for table in (TABLES[row_type] for row_type in ACCOUNT_TABLES):
        connection.execute(OF_ACCOUNTS.format(temporary=temporary, table=table))
    connection.execute(OF_MARGIN_IDS.format(temporary=temporary, table=TABLES[MarginLegs]))
    for row_type, name in ENTITIES.items():
        read = READ.get(row_type, "true")
        connection.execute(
            OF_ENTITIES.format(temporary=temporary, table=TABLES[row_type], entity=name, read=read)
        )
    connection.execute(COMPLAINTS.format(temporary=temporary, table=TABLES[DataQuality]))
    connection.execute(PRICE_EXPOSURE.format(temporary=temporary))
    connection.execute(CERTAINTY.format(temporary=temporary))


def _narrowed(accounts: Sequence[str]) -> str:
    if not accounts:
        return "true"
    literals = ", ".join("'" + account.replace("'", "''") + "'" for account in accounts)
    return NARROWED.format(accounts=literals, count=len(set(accounts)))
