"""Every setting as frozen dataclasses that validate themselves; no torch."""
