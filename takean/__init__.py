"""The composition root: imports all, imported by none."""
