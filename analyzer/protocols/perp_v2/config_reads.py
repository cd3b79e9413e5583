"""Reading what all accounts share besides markets: configuration, collaterals, insurance fund."""

from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.contracts import contract, role
from analyzer.protocols.perp_v2.deployment_options import settlement_decimals
from analyzer.protocols.perp_v2.state import Collateral, Config
from analyzer.reads import Failed, MissingError, Read, Values

COLLATERAL_TWAP_INTERVAL: Final = 900
"""The interval over which ``Vault`` asks for a collateral's price."""
CONFIG: Final = {
    "getImRatio": "ClearingHouseConfig",
    "getMmRatio": "ClearingHouseConfig",
    "getLiquidationPenaltyRatio": "ClearingHouseConfig",
    "getTwapInterval": "ClearingHouseConfig",
    "getMaxFundingRate": "ClearingHouseConfig",
    "getMarkPriceConfig": "ClearingHouseConfig",
    "getMaxMarketsPerAccount": "ClearingHouseConfig",
    "getMmRatioBuffer": "CollateralManager",
    "getDebtNonSettlementTokenValueRatio": "CollateralManager",
    "getLiquidationRatio": "CollateralManager",
    "getCLInsuranceFundFeeRatio": "CollateralManager",
    "getCollateralValueDust": "CollateralManager",
    "paused": "ClearingHouse",
}
MOST_DECIMALS: Final = 77
"""10**78 leaves uint256: the contracts' own conversions would overflow."""


def config_questions(deployment: Deployment, settlement_token: str) -> dict[Any, Read]:
    """Ratios, intervals, thresholds, and the insurance fund's own balance."""
    fund = deployment.contracts["InsuranceFund"]
    return {
        **{
            ("config", getter): role(deployment, name).read(getter)
            for getter, name in CONFIG.items()
        },
        ("fund", "wallet"): contract("ERC20", settlement_token).read("balanceOf", fund),
    }


def config_of(deployment: Deployment, release: str, values: Values) -> Config:
    """The configuration; without it nothing can be said of any account."""

    def need(getter: str) -> Any:
        try:
            return values.need(("config", getter))
        except MissingError as error:
            raise AnalyzerError(
                f"{deployment.name} cannot be valued without its configuration: {error}"
            ) from error

    market_twap, premium = (0, 0) if release == "2.4" else need("getMarkPriceConfig")
    return Config(
        im_ratio=need("getImRatio"),
        mm_ratio=need("getMmRatio"),
        liquidation_penalty_ratio=need("getLiquidationPenaltyRatio"),
        twap_interval=need("getTwapInterval"),
        max_funding_rate=need("getMaxFundingRate"),
        mark_price_market_twap_interval=market_twap,
        mark_price_premium_interval=premium,
        mm_ratio_buffer=need("getMmRatioBuffer"),
        debt_non_settlement_token_value_ratio=need("getDebtNonSettlementTokenValueRatio"),
        liquidation_ratio=need("getLiquidationRatio"),
        cl_insurance_fund_fee_ratio=need("getCLInsuranceFundFeeRatio"),
        collateral_value_dust=need("getCollateralValueDust"),
        settlement_decimals=settlement_decimals(deployment),
        release=release,
        max_markets_per_account=need("getMaxMarketsPerAccount"),
        is_paused=need("paused"),
    )


def collateral_questions(deployment: Deployment, token: str) -> dict[Any, Read]:
    """A collateral token's configuration, price and decimals."""
    manager, erc20 = role(deployment, "CollateralManager"), contract("ERC20", token)
    return {
        ("collateral", token, "config"): manager.read("getCollateralConfig", token),
        ("collateral", token, "price"): manager.read("getPrice", token, COLLATERAL_TWAP_INTERVAL),
        ("collateral", token, "priceDecimals"): manager.read("getPriceFeedDecimals", token),
        ("collateral", token, "decimals"): erc20.read("decimals"),
        ("collateral", token, "symbol"): erc20.read("symbol"),
        ("collateral", token, "vault"): erc20.read(
            "balanceOf", deployment.contracts["Vault"], is_optional=True
        ),
    }


def collateral_of(token: str, values: Values) -> Collateral | Failed:
    """A collateral token, or why its value cannot be known."""
    try:
        _, collateral_ratio, discount_ratio, _ = values.need(("collateral", token, "config"))
        decimals = values.need(("collateral", token, "decimals"))
        price_decimals = values.need(("collateral", token, "priceDecimals"))
    except MissingError as error:
        return Failed(str(error))
    if max(decimals, price_decimals) > MOST_DECIMALS:
        return Failed(f"collateral {token} claims {max(decimals, price_decimals)} decimals")
    return Collateral(
        token=token,
        decimals=decimals,
        price=values["collateral", token, "price"],
        price_feed_decimals=price_decimals,
        collateral_ratio=collateral_ratio,
        discount_ratio=discount_ratio,
    )
