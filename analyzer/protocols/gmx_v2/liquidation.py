from dataclasses import dataclass
@dataclass
class L:
    flips: tuple
def liquidation_prices(c,p): return L(())
