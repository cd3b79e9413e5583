"""Runs the SQL files of queries/ and compares findings with the last run."""
