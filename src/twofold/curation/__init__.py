"""Embeddings in, decisions out: which images are copies, odd or labelled wrongly, which to label, which are alike.

Knows nothing of training. Everything starts from `Embedded`.
"""

from twofold.curation.answers import Answers, answer
from twofold.curation.classifier import Classifier, fit_classifier, load_classifier
from twofold.curation.cleaning import Cleaning, Flaw, clean_embedded, clean_pixels
from twofold.curation.duplicates import Duplicates, find_alike, find_copies
from twofold.curation.embedded import Embedded, kept_embeddings
from twofold.curation.nearest import Neighbours, nearest_others, nearest_rows
from twofold.curation.picking import Picks, Worth, pick_images, simulate
from twofold.curation.result_folder import result_folder, write_answer
from twofold.curation.tables import read_labels, write_csv
from twofold.curation.thumbs import kept_thumbs
from twofold.curation.typical import pick_cover, pick_typical
from twofold.curation.uncertain import pick_uncertain

__all__ = [
    "Answers",
    "Classifier",
    "Cleaning",
    "Duplicates",
    "Embedded",
    "Flaw",
    "Neighbours",
    "Picks",
    "Worth",
    "answer",
    "clean_embedded",
    "clean_pixels",
    "find_alike",
    "find_copies",
    "fit_classifier",
    "kept_embeddings",
    "kept_thumbs",
    "load_classifier",
    "nearest_others",
    "nearest_rows",
    "pick_cover",
    "pick_images",
    "pick_typical",
    "pick_uncertain",
    "read_labels",
    "result_folder",
    "simulate",
    "write_answer",
    "write_csv",
]
