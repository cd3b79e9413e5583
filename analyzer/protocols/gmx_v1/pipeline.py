"""What was read of the price feeds, as the inputs of the price pipeline."""

from analyzer.evm import ZERO_ADDRESS
from analyzer.protocols.gmx_v1.prices import FastFeed, TokenFeed
from analyzer.protocols.gmx_v1.reading import MOST_SAMPLES, Readings
from analyzer.reads import Failed, MissingError


def token_feed(got: Readings, token: str) -> TokenFeed | Failed:
    """The pipeline's inputs without AMM, or why they are not complete."""
    try:
        need = got.need
        return TokenFeed(
            answers=_answers(got, token),
            price_decimals=need("VaultPriceFeed", "priceDecimals", token),
            max_strict_price_deviation=need("VaultPriceFeed", "maxStrictPriceDeviation"),
            strict_stable=need("VaultPriceFeed", "strictStableTokens", token),
            spread_basis_points=need("VaultPriceFeed", "spreadBasisPoints", token),
            adjustment_basis_points=need("VaultPriceFeed", "adjustmentBasisPoints", token),
            is_adjustment_additive=need("VaultPriceFeed", "isAdjustmentAdditive", token),
            secondary=fast_feed(got, token) if uses_fast_price(got) else None,
        )
    except MissingError as error:
        return Failed(str(error))


def uses_fast_price(got: Readings) -> bool:
    """Whether ``VaultPriceFeed.getPrice`` consults a FastPriceFeed."""
    address: str = got.need("VaultPriceFeed", "secondaryPriceFeed")
    return bool(got.need("VaultPriceFeed", "isSecondaryPriceEnabled")) and address != ZERO_ADDRESS


def fast_feed(got: Readings, token: str) -> FastFeed:
    """What the FastPriceFeed knows of a token; ``MissingError`` if any of it is missing."""

    def need(function: str, *arguments: str) -> int:
        value: int = got.need("FastPriceFeed", function, *arguments)
        return value

    _, _, cumulative_ref_delta, cumulative_fast_delta = got.need(
        "FastPriceFeed", "getPriceData", token
    )
    return FastFeed(
        is_spread_enabled=bool(need("isSpreadEnabled")),
        last_updated_at=need("lastUpdatedAt"),
        price_duration=need("priceDuration"),
        max_price_update_delay=need("maxPriceUpdateDelay"),
        spread_basis_points_if_inactive=need("spreadBasisPointsIfInactive"),
        spread_basis_points_if_chain_error=need("spreadBasisPointsIfChainError"),
        max_deviation_basis_points=need("maxDeviationBasisPoints"),
        min_authorizations=need("minAuthorizations"),
        disable_fast_price_vote_count=need("disableFastPriceVoteCount"),
        price=need("prices", token),
        max_cumulative_delta_diff=need("maxCumulativeDeltaDiffs", token),
        cumulative_ref_delta=cumulative_ref_delta,
        cumulative_fast_delta=cumulative_fast_delta,
    )


def _answers(got: Readings, token: str) -> tuple[int, ...]:
    samples: int = got.need("VaultPriceFeed", "priceSampleSpace")
    if samples > MOST_SAMPLES:
        raise MissingError(f"the price feed samples {samples} rounds, more than are read")
    latest: int = got.need("PriceFeed", "latestRound", token)
    count = min(samples, latest)
    older = [got.need("PriceFeed", "getRoundData", token, back)[1] for back in range(1, count)]
    return (got.need("PriceFeed", "latestAnswer", token), *older) if count else ()
