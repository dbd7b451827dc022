"""Servers that all contract tests share."""

from tests.sensors.mirrored import influxdb, victoria

__all__ = ["influxdb", "victoria"]
