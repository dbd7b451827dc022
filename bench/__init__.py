"""Benchmarks: tables with the command that made them; run by hand."""
