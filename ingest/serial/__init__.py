"""Instruments on serial lines of this box: what they say becomes messages like any other; see docs/serial.md."""
