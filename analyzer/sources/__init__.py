"""Price sources that belong to no protocol."""
