"""The two ratios that every protocol's positions are compared by, in integers."""

from analyzer.units import BASIS_POINTS


def distance_bps(price: int | None, below: int | None, above: int | None) -> int | None:
    """How far a price has to move to the nearer liquidation price, in basis points of the price.

    ``below`` and ``above`` bound the safe region and are themselves liquidatable; all three are in
    the contract's own unit, of which one more or less is the next price. Negative where the price
    is past a bound or on it: how far back the safe region is. Rounded down, so that no position is
    shown farther from liquidation than it is, and 0 is still safe. None without price or bound.
    """
    if not price:
        return None
    rooms = [price - below] if below is not None else []
    rooms += [above - price] if above is not None else []
    if not rooms:
        return None
    room = min(rooms)
    return (room if room > 0 else room - 1) * BASIS_POINTS // price


def leverage_bps(size_usd: int | None, equity_usd: int | None) -> int | None:
    """A position's size over the equity of the margin account that holds it, truncated.

    Both as the rows have them (E18). None where there is no equity, or either is not known.
    """
    if size_usd is None or equity_usd is None or equity_usd <= 0:
        return None
    return size_usd * BASIS_POINTS // equity_usd
