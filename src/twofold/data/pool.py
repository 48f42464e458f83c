"""All images that were decoded by the same rules, whatever data set they came in: here those of a source are added.

<cache>/decoded/<rules>/    rules.json, segments (`segments`), <places>.alone: a lock for each list of images
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from twofold.console import say
from twofold.data.colour_space import Colours, colours_of
from twofold.data.decode import Rules, decode
from twofold.data.formats import RangeNeededError, orientation_of, reason_of
from twofold.data.openings import file_keys, keep_contents, known_contents
from twofold.data.parallel import in_order
from twofold.data.record import Source, digest
from twofold.data.segment_index import CONTENT, Contents, SegmentIndex, as_contents, read_index
from twofold.data.segments import SegmentWriter, recover, writing
from twofold.data.space import require_space
from twofold.data.traits import Traits
from twofold.errors import TwofoldError
from twofold.files import Claim, claim, write_atomically

FORMAT = 5  # of the files, and of the rules by which images are decoded; what is older is not read
_FIRST = 1  # in what settings are called, so that runs keep the fingerprints that they always had


@dataclass(frozen=True)
class Held:
    """The pool with all images of a source in it, and what each record of the source holds."""

    index: SegmentIndex
    contents: Contents


def settings_of(rules: Rules) -> list[object]:
    """What a pool is called after: only what differs from the first version's rules."""
    changed: list[object] = [rules.range, rules.range_from, rules.truncated]
    plain = changed == [None, "data", "read"]
    bands = [["bands", rules.bands, rules.pages]] if rules.bands is not None or rules.pages != "first" else []
    return [_FIRST, rules.channels, rules.short_px, *([] if plain else changed), *bands]


def pool_of(cache: Path, rules: Rules) -> Path:
    """The folder of all images that were decoded by these rules."""
    return cache / "decoded" / digest([FORMAT, settings_of(rules)])[:24]


@contextmanager
def alone(pool: Path, places: str) -> Iterator[None]:
    """One process at a time brings in the images at these places. Where nothing can be written, all may read."""
    with ExitStack() as stack:
        with suppress(OSError):
            pool.mkdir(parents=True, exist_ok=True)
            if stack.enter_context(claim(pool / f"{places}.alone")) is Claim.TAKEN:
                say("waiting for another process, which decodes the same images")
                stack.enter_context(claim(pool / f"{places}.alone", wait=True))
        yield


def bring_in(source: Source, rules: Rules, cache: Path, *, show_progress: bool) -> Held:
    """Decode the images of a source whose contents the pool of the rules lacks.

    Files that have not changed since they were last read are not read again. Raises OSError where images cannot be
    written, TwofoldError where there is no space for them, and RangeNeededError as `decode` does.
    """
    pool = pool_of(cache, rules)
    recover(pool)
    index = read_index(pool)
    keys = file_keys(source)
    if keys is None:
        contents, is_known = np.zeros(len(source.records), CONTENT), np.zeros(len(source.records), bool)
    else:
        contents, is_known = known_contents(cache, source, keys)
    missing = np.flatnonzero(~is_known | (index.find(contents) < 0))
    if len(missing):
        require_space(source, missing, rules, pool, lambda content: index.holds(content_digest(content)))
        with writing(pool) as writer:
            work = partial(_keep, source, rules, index, writer, missing)
            kept = list(in_order(work, len(missing), text="Decoding images", show=show_progress))
        if writer.count:
            _describe(pool, rules)
            index = read_index(pool)
        contents[missing] = as_contents(one.content for one in kept)
        is_known[missing] = [one.is_read for one in kept]
        if keys is not None:
            keep_contents(cache, source, keys, contents, is_known)
    return Held(index, contents)


class _Kept(NamedTuple):
    content: str
    is_read: bool  # a file that cannot be opened now may be readable later, without a change of its own


def _keep(
    source: Source, rules: Rules, index: SegmentIndex, writer: SegmentWriter, missing: Int64[np.ndarray, " m"], at: int
) -> _Kept:
    """See that the pool holds what is in the record missing[at]."""
    try:
        content = source.read(int(missing[at]))
        name = content_digest(content)
    except Exception as error:  # whatever keeps a file from being read belongs to its content here
        reason = reason_of(error)
        name = digest(["unreadable", reason])
        if not index.holds(name) and writer.begin(name):
            writer.add(name, unreadable(reason), None)
        return _Kept(name, is_read=False)
    if not index.holds(name) and writer.begin(name):
        kind, pixels = _decoded(content, rules)
        writer.add(name, kind, pixels)
    return _Kept(name, is_read=True)


def _decoded(content: bytes | Image.Image, rules: Rules) -> tuple[str, UInt8[np.ndarray, "c H W"] | None]:
    try:
        decoded = decode(content, rules)
    except RangeNeededError:
        raise
    except TwofoldError as error:
        return unreadable(str(error)), None
    return _readable(decoded.traits), np.ascontiguousarray(decoded.pixels.transpose(2, 0, 1))


@lru_cache(maxsize=256)  # few different ones, however many images
def _readable(traits: Traits) -> str:
    return json.dumps(asdict(traits))


def unreadable(reason: str) -> str:
    """The kind of an image that cannot be read."""
    return json.dumps({"unreadable": reason})


def content_digest(content: bytes | Image.Image) -> str:
    """SHA-256 (hex) of a file's bytes, or of an image that was decoded elsewhere."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    plain = ["decoded", content.mode, content.size, hashlib.sha256(content.tobytes()).hexdigest()]
    said, orientation = colours_of(content.info, is_grey=content.mode == "L"), orientation_of(content)
    if said == Colours() and orientation == 1:
        return digest(plain)
    return digest([*plain, hashlib.sha256(said.profile or b"").hexdigest(), said.is_hdr, orientation])


def _describe(pool: Path, rules: Rules) -> None:
    """Write down by which rules the images of a pool were decoded, for `twofold cache`."""
    place = pool / "rules.json"
    if not place.exists():
        write_atomically(place, json.dumps({"format": FORMAT, **asdict(rules)}).encode())
