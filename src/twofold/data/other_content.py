"""What a file holds that is called an image and cannot be read: another kind of file, or of image."""

_BEGINNINGS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS and not the image; fetch the images with: git lfs pull"),
    (b"<!doctype html", "it is a web page, such as the answer to a failed download"),
    (b"<html", "it is a web page, such as the answer to a failed download"),
    (b"<svg", "it is a drawing (SVG); export it as PNG"),
    (b"<?xml", "it is a drawing or a text (XML); export it as PNG"),
    (b"%pdf", "it is a PDF; export its pages as PNG or JPEG"),
    (b"\xff\x0a", "it is JPEG XL; convert it to PNG or JPEG"),
    (b"\0\0\0\x0cjxl ", "it is JPEG XL; convert it to PNG or JPEG"),
    (b"ii\xbc\x01", "it is JPEG XR; convert it to PNG or TIFF"),
    (b"\x76\x2f\x31\x01", "it is OpenEXR; convert it to TIFF"),
    (b"#?r", "it is Radiance HDR; convert it to TIFF"),
    (b"simple  =", "it is FITS; convert it to TIFF"),
    (b"p7\n", "it is PAM; convert it to PNG or PPM"),
    (b"\x1f\x8b", "it is compressed (gzip); unpack it"),
    (bytes(64), "it begins with zeros, as files do whose content was lost"),
)
_FRAMES = {  # JPEG's markers of a frame that are not read -> what it is
    0xC3: "a JPEG without losses",
    0xC5: "a hierarchical JPEG",
    0xC9: "a JPEG of arithmetic coding",
    0xF7: "JPEG-LS",
}


def other_content(content: bytes) -> str | None:
    """What it is, by its first 64 kilobytes, and what to do; None where that is not known here."""
    head = content[:64].lower().removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n\t")
    for beginning, told in _BEGINNINGS:
        if head.startswith(beginning):
            return told
    if head[4:8] == b"ftyp" and head[8:11] in (b"iso", b"mp4", b"qt ", b"avc", b"m4v", b"3gp"):
        return "it is a film; export its frames as images"
    kind = _kind_of_jpeg(content) if content.startswith(b"\xff\xd8") else None
    return kind and f"it is {kind}, which is not read; convert it to PNG or to an ordinary JPEG"


def _kind_of_jpeg(content: bytes) -> str | None:
    place = 2
    while place + 5 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker in _FRAMES:
            return _FRAMES[marker]
        if 0xC0 <= marker <= 0xC2:
            return None if content[place + 4] == 8 else f"a JPEG of {content[place + 4]} bits"
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None
