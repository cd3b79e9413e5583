"""Runs the SQL files of queries/ and compares findings with the last run."""

from analyzer.findings.catalogue import catalogue
from analyzer.findings.model import (
    SEVERITIES,
    Column,
    Filters,
    Finding,
    Param,
    Query,
    Result,
    at_least,
)
from analyzer.findings.queries import load
from analyzer.findings.runner import run

__all__ = [
    "SEVERITIES",
    "Column",
    "Filters",
    "Finding",
    "Param",
    "Query",
    "Result",
    "at_least",
    "catalogue",
    "load",
    "run",
]
