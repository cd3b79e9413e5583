"""Reading EVM chains: nodes through web3's providers, and recorded chains."""

from analyzer.chain.interface import Chain
from analyzer.chain.open import open_chain
from analyzer.chain.settings import Progress, Settings

__all__ = ["Chain", "Progress", "Settings", "open_chain"]
