"""Drives chain to raw to rows to store."""
