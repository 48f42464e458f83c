"""Which of a launcher's processes this is."""

import os


def is_first_process() -> bool:
    """Whether this process speaks and writes for all; a launcher sets RANK."""
    return os.environ.get("RANK", "0") == "0"
