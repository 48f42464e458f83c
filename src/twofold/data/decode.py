"""From an image's bytes to its pixels in 8 bits, and what was decided on the way."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from twofold.data.bands import shrink_bands
from twofold.data.budget import Budget
from twofold.data.colour import conversion
from twofold.data.colour_space import colours_of
from twofold.data.exact_profile import EXACT_BYTES, ExactProfile, exact_profile
from twofold.data.flatten import GAP, bytes_needed, bytes_to_flatten, flatten
from twofold.data.formats import (
    ANIMATED,
    BITS,
    ORIENTATION,
    PAGES,
    RangeNeededError,
    UnreadableError,
    format_of,
    orientation_of,
)
from twofold.data.parallel import cores
from twofold.data.readers import as_unreadable, open_image
from twofold.data.rules import Rules as Rules
from twofold.data.rules import stored_size as stored_size
from twofold.data.samples import Range, Samples, Seen, eight_bits, own_range, require_range
from twofold.data.traits import Traits
from twofold.data.truncated import rows_there

MEMORY = Budget(max(2**30, 2**26 * cores()))  # bytes that all threads decode in: a photograph takes 20 to 200 MB


@dataclass(frozen=True)
class Decoded:
    """An image as it is kept."""

    pixels: UInt8[np.ndarray, "H W c"]
    traits: Traits


def decode(content: bytes | Image.Image | Samples, rules: Rules) -> Decoded:
    """The pixels of a file's content, or of an image that was decoded elsewhere, upright, in channels of 8 bits.

    The first frame counts, or the first page that is no thumbnail. Colours are brought to sRGB, transparency is laid
    over white, EXIF's orientation applied, numbers of more than 8 bits are scaled by a range. Larger images shrink,
    antialiased. Where the rules ask for bands, these are taken as they are stored instead, each scaled by its own
    range. Threads share a bound on memory: those that would pass it wait, and a very large image is decoded alone.
    Raises UnreadableError with the reason, RangeNeededError where the rules leave the range to the data.
    """
    with as_unreadable():
        opened = open_image(content, rules)
        if 0 in opened.size:
            raise UnreadableError(f"it has no pixels: {opened.size[0]} x {opened.size[1]}")
        if isinstance(opened, Samples) and rules.by_bands:
            return _decode_bands(opened, rules)
        if isinstance(opened, Samples):
            return _decode_samples(opened, rules)
        return _decode_plain(opened, content if isinstance(content, bytes) else None, rules)


def is_grey(opened: Image.Image | Samples) -> bool:
    """Whether an image is without colour, by its header."""
    if isinstance(opened, Samples):
        return opened.colours == 1
    if opened.mode == "P":
        palette = opened.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return opened.mode in ("1", "L", "LA", "La")


def _decode_plain(image: Image.Image, content: bytes | None, rules: Rules) -> Decoded:
    size = image.size
    target = stored_size(size, rules.short_px)
    draft = None
    if content is not None and target != size:
        draft = int(target[0] * GAP), int(target[1] * GAP)
        image.draft(None, draft)  # a JPEG can shrink as it decodes
    form, needed = format_of(image), bytes_needed(image, size, target)
    notes = ["frames"] if _has_frames(image) else []
    try:
        with MEMORY.take(needed):
            image.load()
            return _finish(image, rules, target, form, notes)
    except OSError:
        if content is None or form != "JPEG" or rules.truncated == "skip":
            raise
    with MEMORY.take(3 * needed):
        image, is_cut = rows_there(content, draft)
        if is_cut:
            target = stored_size(image.size, rules.short_px)
        return _finish(image, rules, target, form, ["truncated"] if is_cut else [])


def _finish(image: Image.Image, rules: Rules, target: tuple[int, int], form: str, notes: list[str]) -> Decoded:
    """A loaded image of 8 bits as it is kept."""
    orientation, width = orientation_of(image), image.width
    change = conversion(image, _mode(rules))
    before = change.before
    if before is None:
        flat = flatten(lambda _top, _bottom: image, image.size, target, whole=True)
    else:
        flat = flatten(lambda top, bottom: before(_rows(image, width, top, bottom)), image.size, target)
    flat = flat if change.after is None else change.after(flat)
    notes = [*notes, *change.notes, *(["preview"] if form == "RAW" else [])]
    bits = 1 if image.mode == "1" else image.info.get(BITS, 8)
    notes += ["type range"] if bits > 8 else []
    return _kept(flat, orientation, form, bits, is_grey(image), notes)


def _decode_samples(samples: Samples, rules: Rules) -> Decoded:
    target = stored_size(samples.size, rules.short_px)
    profile, exact, profile_notes = _profile_of(samples)
    strip_bytes = samples.strip_bytes + (0 if exact is None else EXACT_BYTES)
    with MEMORY.take(samples.held_bytes + bytes_to_flatten(samples.size, target, strip_bytes)):
        transparent, seen = samples.is_transparent(), Seen()
        range_, notes = _range_of(samples, rules, has_profile=profile is not None or exact is not None)
        notes += profile_notes
        colours = "RGB" if samples.colours == 3 or len(range_) > 2 else "L"
        like = Image.new({"L": "LA", "RGB": "RGBA"}[colours] if transparent else colours, (1, 1))
        like.info = {"icc_profile": profile} if profile else {}
        change = conversion(like, _mode(rules))

        def part(top: int, bottom: int) -> Image.Image:
            shown = eight_bits(samples, top, bottom, range_, transparent, seen, exact)
            return shown if change.before is None else change.before(shown)

        flat = flatten(part, samples.size, target)
        flat = flat if change.after is None else change.after(flat)
    seen.require_data()
    if samples.is_deep:
        seen.require_contrast()
        seen.require_inside(range_)
    are_left_out = samples.further_bands > transparent
    notes += ["frames"] if _has_frames(samples) else []
    notes += [*change.notes, *(["bands"] if are_left_out else []), *(["missing values"] if seen.missing else [])]
    kept = _kept(flat, samples.orientation, samples.format, samples.bits, samples.colours == 1, notes)
    return _with_missing(kept, seen)


def _decode_bands(samples: Samples, rules: Rules) -> Decoded:
    target = stored_size(samples.size, rules.short_px)
    with MEMORY.take(samples.held_bytes + bytes_to_flatten(samples.size, target)):
        seen = Seen()
        range_, notes = _range_of(samples, rules, has_profile=False)
        flats = [Image.fromarray(band) for band in shrink_bands(samples, range_, target, seen)]
    seen.require_data()
    if samples.is_deep:
        seen.require_contrast()
        seen.require_inside(range_)
    notes += ["pages"] if rules.pages == "channels" and samples.format == "TIFF" else []
    notes += ["missing values"] if seen.missing else []
    pixels = np.stack([np.asarray(_upright(flat, samples.orientation)) for flat in flats], axis=2)
    decoded = _decoded(pixels, samples.orientation, samples.format, samples.bits, rules.channels == 1, notes)
    return _with_missing(decoded, seen)


def _with_missing(decoded: Decoded, seen: Seen) -> Decoded:
    """With the share of values that no file gave a number for."""
    return replace(decoded, traits=replace(decoded.traits, missing_percent=seen.missing_percent))


def _profile_of(samples: Samples) -> tuple[bytes | None, ExactProfile | None, list[str]]:
    """The profile for LittleCMS, or the one for numbers of more than 8 bits; and what is noted."""
    said = colours_of(samples.info, is_grey=samples.colours == 1)
    notes = ["hdr"] if said.is_hdr else []
    if said.profile is None or not samples.is_deep:
        return said.profile, None, notes
    if samples.limits is None or samples.colours == 1:
        return None, None, [*notes, "profile unused"]
    exact = exact_profile(said.profile)
    return (said.profile, None, notes) if exact is None else (None, exact, [*notes, "profile"])


def _range_of(samples: Samples, rules: Rules, *, has_profile: bool) -> tuple[Range, list[str]]:
    """The range to show, and how it came about. Colours with a profile mean what their whole range means."""
    if not samples.is_deep:
        return (0.0, 255.0), []
    if has_profile:
        return require_range(samples, None), ["type range"]
    if rules.range_from == "image":
        return own_range(samples), ["own range"]
    if rules.range is None and rules.range_from == "data":
        raise RangeNeededError("an image of more than 8 bits needs a range")
    return require_range(samples, rules.range), ["type range" if rules.range is None else "data range"]


def _kept(flat: Image.Image, orientation: int, form: str, bits: int, grey: bool, notes: list[str]) -> Decoded:
    pixels = np.asarray(_upright(flat, orientation))
    return _decoded(pixels[:, :, None] if pixels.ndim == 2 else pixels, orientation, form, bits, grey, notes)


def _decoded(
    pixels: UInt8[np.ndarray, "H W c"], orientation: int, form: str, bits: int, grey: bool, notes: list[str]
) -> Decoded:
    notes = [*notes, *(["turned"] if 2 <= orientation <= 8 else []), *(["constant"] if _is_constant(pixels) else [])]
    return Decoded(pixels, Traits(format=form, bits=bits, is_grey=grey, notes=tuple(notes)))


def _upright(flat: Image.Image, orientation: int) -> Image.Image:
    """Turned or mirrored as EXIF's `orientation` asks: after shrinking, when there is little to turn."""
    if orientation == 1:
        return flat
    flat = flat.copy()  # it may be the caller's own image
    flat.info.clear()
    flat.getexif()[ORIENTATION] = orientation
    return ImageOps.exif_transpose(flat)


def _mode(rules: Rules) -> str:
    return "L" if rules.channels == 1 else "RGB"


def _rows(image: Image.Image, width: int, top: int, bottom: int) -> Image.Image:
    return image if bottom - top == image.height else image.crop((0, top, width, bottom))


def _is_constant(pixels: UInt8[np.ndarray, "H W c"]) -> bool:
    if pixels.item(0) != pixels.item(-pixels.shape[2]):  # the first and the last pixel: all that most images cost
        return False
    return bool((pixels[::16, ::16] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all())


def _has_frames(image: Image.Image | Samples) -> bool:
    """Whether there are frames or pages beyond the one that is read; a phone's second JPEG is none."""
    animated = isinstance(image, Image.Image) and image.format in ANIMATED and getattr(image, "is_animated", False)
    return bool(animated or image.info.get(PAGES))
