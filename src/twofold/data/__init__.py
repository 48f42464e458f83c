"""Images in: sources of images, decoded once into a store, cut into splits, read in batches."""

from twofold.data.assignment import FEW_LABELLED
from twofold.data.decode import Decoded, Rules, decode
from twofold.data.duplicates import Shared, count_shared
from twofold.data.facts import Facts, look_at, require_channels
from twofold.data.findings import Finding
from twofold.data.formats import UnreadableError
from twofold.data.image_set import ImageSet, load_images
from twofold.data.loader import Loader, rows_of_step
from twofold.data.pixels import ImageBatch
from twofold.data.record import Record, Source
from twofold.data.sources.given import AnyData, as_given, is_object
from twofold.data.sources.source import open_source
from twofold.data.splits import cut_fraction, label_fraction, shots_per_class
from twofold.data.store import Quarantined
from twofold.data.traits import PixelFacts, Traits

__all__ = [
    "FEW_LABELLED",
    "AnyData",
    "Decoded",
    "Facts",
    "Finding",
    "ImageBatch",
    "ImageSet",
    "Loader",
    "PixelFacts",
    "Quarantined",
    "Record",
    "Rules",
    "Shared",
    "Source",
    "Traits",
    "UnreadableError",
    "as_given",
    "count_shared",
    "cut_fraction",
    "decode",
    "is_object",
    "label_fraction",
    "load_images",
    "look_at",
    "open_source",
    "require_channels",
    "rows_of_step",
    "shots_per_class",
]
