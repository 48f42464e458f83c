"""A run directory becomes one HTML page that opens offline."""

from twofold.report.run_page import build_report

__all__ = ["build_report"]
