"""Embeddings in, decisions out: which images are copies, odd or labelled wrongly, which to label, which are alike.

Knows nothing of training. Everything starts from `Embedded`.
"""

from twofold.curation.embedded import Embedded, kept_embeddings
from twofold.curation.nearest import Neighbours, nearest_others, nearest_rows
from twofold.curation.result_folder import result_folder
from twofold.curation.tables import read_labels, write_csv

__all__ = [
    "Embedded",
    "Neighbours",
    "kept_embeddings",
    "nearest_others",
    "nearest_rows",
    "read_labels",
    "result_folder",
    "write_csv",
]
