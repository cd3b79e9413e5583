"""Reading EVM chains: nodes through web3's providers, and recorded chains."""
