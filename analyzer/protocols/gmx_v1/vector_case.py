"""One vector of a file, with its integers parsed."""

from collections.abc import Mapping
from typing import Any

from analyzer.protocols.gmx_v1.blocked import Pool
from analyzer.protocols.gmx_v1.contracts import Identity
from analyzer.protocols.gmx_v1.prices import TokenFeed, get_price
from analyzer.protocols.gmx_v1.risk import (
    Position,
    Terms,
    TokenFunding,
    update_cumulative_funding_rate,
)
from analyzer.protocols.gmx_v1.vector_prices import PriceFile

Vector = Mapping[str, Any]


class Case:
    """A vector's position, vault and tokens."""

    def __init__(self, vector: Vector, prices: PriceFile, *, is_private: bool | None) -> None:
        self.vector = vector
        self.is_private = is_private
        self.now = int(vector["block_timestamp"])
        self.is_long = bool(vector["is_long"])
        self.variant = str(vector["vault_variant"])
        self.identity = Identity(
            vector["account"].lower(),
            vector["collateral_token"].lower(),
            vector["index_token"].lower(),
            self.is_long,
        )
        self.position = _position(vector["position"])
        self.feeds: dict[str, TokenFeed] = {
            role: prices.feed(vector, role) for role in ("index", "collateral")
        }
        self.funding = {role: _funding(vector, role) for role in ("index", "collateral")}

    def price(self, *, include_amm: bool) -> int:
        """The price that was recorded; where its read reverted, what the pipeline makes of it."""
        recorded = (
            self.vector["index"]["getMinPrice" if self.is_long else "getMaxPrice"]
            if include_amm
            else self.vector["index"]["feed"]["priceMinNoAmm" if self.is_long else "priceMaxNoAmm"]
        )
        if isinstance(recorded, str):
            return int(recorded)
        return get_price(self.feeds["index"], not self.is_long, include_amm, self.now)

    def pool(self) -> Pool:
        """The pool of the collateral token."""
        words = self.vector["collateral"]
        return Pool(
            amount=int(words["poolAmounts"]),
            reserved=int(words["reservedAmounts"]),
            token_decimals=int(words["tokenDecimals"]),
            max_price=get_price(self.feeds["collateral"], True, False, self.now),
        )

    def terms(self, variant: str, *, executable: bool, margin_fee: Any = None) -> Terms:
        """The vault's words at rest, or with the funding that a transaction brings up to date."""
        config, funding = self.vector["vault_config"], self.funding["collateral"]
        return Terms(
            max_leverage=int(config["maxLeverage"]),
            liquidation_fee_usd=int(config["liquidationFeeUsd"]),
            margin_fee_basis_points=int(margin_fee or config["marginFeeBasisPoints"]),
            min_profit_time=int(config["minProfitTime"]),
            min_profit_basis_points=int(self.vector["index"]["minProfitBasisPoints"]),
            cumulative_funding_rate=(
                update_cumulative_funding_rate(funding, self.now)
                if executable
                else funding.cumulative_funding_rate
            ),
            now=self.now,
            profit_counts=(self.variant if variant == "vault" else variant) == "C",
        )


def _position(recorded: Vector) -> Position:
    realised = int(recorded["realised_pnl_abs"])
    return Position(
        size=int(recorded["size"]),
        collateral=int(recorded["collateral"]),
        average_price=int(recorded["average_price"]),
        entry_funding_rate=int(recorded["entry_funding_rate"]),
        reserve_amount=int(recorded["reserve_amount"]),
        realised_pnl=realised if recorded["realised_pnl_nonneg"] else -realised,
        last_increased_time=int(recorded["last_increased_time"]),
    )


def _funding(vector: Vector, role: str) -> TokenFunding:
    words, config = vector[role], vector["vault_config"]
    factor = "stableFundingRateFactor" if words["stableTokens"] else "fundingRateFactor"
    return TokenFunding(
        pool_amount=int(words["poolAmounts"]),
        reserved_amount=int(words["reservedAmounts"]),
        cumulative_funding_rate=int(words["cumulativeFundingRates"]),
        last_funding_time=int(words["lastFundingTimes"]),
        funding_interval=int(config["fundingInterval"]),
        funding_rate_factor=int(config[factor]),
    )
