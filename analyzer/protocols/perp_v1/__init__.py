"""Perpetual Protocol v1: isolated margin on virtual AMMs, and its forks."""
