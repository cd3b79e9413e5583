"""Rows to files and terminals: formatting only."""
