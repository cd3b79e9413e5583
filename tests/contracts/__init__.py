"""Tests that run the real contracts on a local chain."""
