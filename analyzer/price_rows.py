"""The price of a token as one source names it at a block: what all protocols' rows share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.assets import asset_of
from analyzer.rows import At, PriceRole, Prices, PriceSource, price_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who names a price, what it is to the protocol, and what its own rules allow.

    ``observed_at`` is in unix seconds, ``max_age`` in seconds.
    """

    name: PriceSource
    role: PriceRole
    observed_at: int | None
    is_used: bool = True
    max_age: int | None = None
    max_age_source: str | None = None
    deviation_limit_bps: int | None = None


def price_row(
    at: At,
    token: str,
    source: Source,
    low: int | None,
    high: int | None,
    inputs: Mapping[str, Any],
) -> Prices:
    """The row of a price that was read; ``low`` and ``high`` in USD (E18) per whole token."""
    return Prices(
        at=at,
        log_index=-1,
        price_id=price_id(at, token),
        token=token,
        asset=asset_of(at.chain_id, token),
        source=source.name,
        role=source.role,
        price_min=low,
        price_max=high,
        observed_at=source.observed_at,
        max_age=source.max_age,
        max_age_source=source.max_age_source,
        deviation_limit_bps=source.deviation_limit_bps,
        is_used=source.is_used,
        inputs=inputs,
    )
