"""GMX's published SDK, asked for its liquidation price of every vector that has one.

    python -m tests.contracts.fetch
    python -m tests.benchmarks.gmx_sdk

What it answers is stored as a fixture, with a digest of what it was asked. It is given the best
that its arguments can hold: the vector's own state, with fees up to the stored accumulators as the
recorded verdict has them, the trader's referral discount, and the virtual inventory in force.
"""

import gzip
import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.protocols.gmx_v2.precision import FLOAT_PRECISION
from analyzer.protocols.gmx_v2.state import Price
from tests.contracts.fetch import fetch, folder, tool
from tests.protocols.gmx_v2_run import FOLDER, VECTORS, Case, cases

PACKAGE = "@gmx-io/sdk@1.4.0"
ANSWERS = FOLDER / "sdk_prices.json.gz"
SCRIPT = Path(__file__).with_suffix(".cjs")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the SDK answered: by file and id of the vector, in the contract's unit of a price."""

    package: str
    inputs_sha256: str
    prices: Mapping[str, Mapping[str, int]]


def main() -> None:
    """Ask, and write the fixture."""
    fetch(PACKAGE)
    found = asked()
    stored = {
        "package": found.package,
        "inputs_sha256": found.inputs_sha256,
        "prices": {
            name: {key: str(price) for key, price in prices.items()}
            for name, prices in found.prices.items()
        },
    }
    text = json.dumps(stored, indent=1) + "\n"
    ANSWERS.write_bytes(gzip.compress(text.encode(), mtime=0))


def stored_answers() -> Answers:
    """The fixture."""
    stored = json.loads(gzip.decompress(ANSWERS.read_bytes()))
    prices = {
        name: {key: int(price) for key, price in prices.items()}
        for name, prices in stored.pop("prices").items()
    }
    return Answers(**stored, prices=prices)


def asked() -> Answers:
    """Ask the fetched SDK about every vector whose verdict flips somewhere."""
    chosen = {name: flipping(name) for name in VECTORS}
    every = [case for found in chosen.values() for case in found]
    ran = subprocess.run(
        [tool("node"), str(SCRIPT), str(folder(PACKAGE))],
        input=_json([arguments(case) for case in every]),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = json.loads(ran.stdout)
    if None in said:
        raise SystemExit("the SDK has no price for some vectors: give the table a column for that")
    answers = (_contract_price(int(price), case) for price, case in zip(said, every, strict=True))
    prices = {
        name: {str(case.vector["id"]): next(answers) for case in found}
        for name, found in chosen.items()
    }
    return Answers(PACKAGE, inputs_sha256(every), prices)


def flipping(name: str) -> Sequence[Case]:
    """The vectors of a file with a recorded price at which the contract's verdict flips."""
    return [case for case in cases(name) if case.vector.get("flip", {}).get("exists")]


def inputs_sha256(chosen: Sequence[Case]) -> str:
    """A digest of all that the SDK was asked."""
    return hashlib.sha256(_json([arguments(case) for case in chosen]).encode()).hexdigest()


def arguments(case: Case) -> dict[str, Any]:
    """What ``getLiquidationPrice`` takes: prices of whole tokens, USD with 30 decimals."""
    position, market, closing = case.position, case.state.market, case.closing
    collateral_price = market.collateral_price(position.collateral_token, case.prices)
    collateral = case.state.collateral(position.collateral_token).removesuffix("Token")
    decimals = case.vector["decimals"]
    discounts = closing.discounts
    return {
        "sizeInUsd": position.size_in_usd,
        "sizeInTokens": position.size_in_tokens,
        "collateralAmount": position.collateral_amount,
        "collateralUsd": position.collateral_amount * collateral_price.min,
        "collateralToken": _token(
            position.collateral_token, int(decimals[collateral]), collateral_price
        ),
        "pendingBorrowingFeesUsd": closing.borrowing_fee_usd,
        "pendingFundingFeesUsd": closing.funding_fee_amount * collateral_price.min,
        "pendingImpactAmount": position.pending_impact_amount,
        "minCollateralUsd": closing.min_collateral_usd,
        "isLong": position.is_long,
        "marketInfo": _market_info(case),
        "userReferralInfo": {
            "totalRebateFactor": discounts.trader_discount_factor,
            "discountFactor": FLOAT_PRECISION,
        }
        if discounts.has_referral_code
        else None,
    }


def _market_info(case: Case) -> dict[str, Any]:
    state, words = case.state, case.state.words
    decimals = int(case.vector["decimals"]["index"])
    return {
        "indexToken": _token(state.market.index_token, decimals, case.prices.index),
        "longInterestUsd": state.open_interest(True),
        "shortInterestUsd": state.open_interest(False),
        "longInterestInTokens": state.open_interest_in_tokens(True),
        "shortInterestInTokens": state.open_interest_in_tokens(False),
        "useOpenInterestInTokensForBalance": state.in_tokens,
        "virtualInventoryForPositions": _virtual_inventory(case),
        "minCollateralFactorForLiquidation": words["MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION"],
        "maxPositionImpactFactorForLiquidations": words[
            "MAX_POSITION_IMPACT_FACTOR_FOR_LIQUIDATIONS"
        ],
        "maxPositionImpactFactorPositive": words["MAX_POSITION_IMPACT_FACTOR:positive"],
        "maxPositionImpactFactorNegative": words["MAX_POSITION_IMPACT_FACTOR:negative"],
        "positionImpactFactorPositive": words["POSITION_IMPACT_FACTOR:positive"],
        "positionImpactFactorNegative": words["POSITION_IMPACT_FACTOR:negative"],
        "positionImpactExponentFactorPositive": words["POSITION_IMPACT_EXPONENT_FACTOR:positive"],
        "positionImpactExponentFactorNegative": words["POSITION_IMPACT_EXPONENT_FACTOR:negative"],
        "positionFeeFactorForBalanceWasImproved": words["POSITION_FEE_FACTOR:positive"],
        "positionFeeFactorForBalanceWasNotImproved": words["POSITION_FEE_FACTOR:negative"],
    }


def _virtual_inventory(case: Case) -> int:
    words = case.state.words
    if not words["VIRTUAL_TOKEN_ID"]:
        return 0
    if case.state.in_tokens:
        return words["VIRTUAL_INVENTORY_FOR_POSITIONS_IN_TOKENS"] * case.prices.index.mid
    return words["VIRTUAL_INVENTORY_FOR_POSITIONS"]


def _token(address: str, decimals: int, price: Price) -> dict[str, Any]:
    whole = 10**decimals
    return {
        "address": address,
        "decimals": decimals,
        "prices": {"minPrice": price.min * whole, "maxPrice": price.max * whole},
    }


def _contract_price(price: int, case: Case) -> int:
    return price // 10 ** int(case.vector["decimals"]["index"])


def _json(inputs: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps([_marked(one) for one in inputs])


def _marked(value: Any) -> Any:
    """Integers as JavaScript can be told to read them, all but those of ``decimals``."""
    if isinstance(value, Mapping):
        return {key: inner if key == "decimals" else _marked(inner) for key, inner in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"int": str(value)}
    return value


if __name__ == "__main__":
    main()
