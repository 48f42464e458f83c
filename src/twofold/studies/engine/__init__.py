"""Cells, claims and verdicts: what all studies share."""
