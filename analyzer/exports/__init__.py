"""Rows to files and terminals: formatting only."""

from analyzer.exports.writing import FORMATS, format_of, write

__all__ = ["FORMATS", "format_of", "write"]
