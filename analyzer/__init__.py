"""perpscope: exact liquidation and oracle risk of on-chain perpetual futures."""

__version__ = "0.1.0"
