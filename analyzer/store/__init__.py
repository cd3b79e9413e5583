"""The DuckDB file: raw rows, normalised rows, checkpoints."""
