"""Runs the SQL files of queries/ and compares findings with the last run."""

from analyzer.findings.catalogue import catalogue
from analyzer.findings.model import (
    SEVERITIES,
    Column,
    Filters,
    Finding,
    History,
    Param,
    Query,
    Result,
    at_least,
    gravest_first,
)
from analyzer.findings.queries import load
from analyzer.findings.runner import run

__all__ = [
    "SEVERITIES",
    "Column",
    "Filters",
    "Finding",
    "History",
    "Param",
    "Query",
    "Result",
    "at_least",
    "catalogue",
    "gravest_first",
    "load",
    "run",
]
