"""A run directory becomes one HTML page that opens offline."""

from twofold.report.build import build_report

__all__ = ["build_report"]
