"""Addresses of data elsewhere: s3://, gs:// and az:// are buckets, http:// and https:// the web. Texts only.

An address may hold keys: a user and a password, or a signed query (?X-Amz-Signature=...). They are used, and neither
shown nor kept.
"""

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import parse_qsl, quote

BUCKETS = ("s3://", "gs://", "az://")
_WEB = ("http://", "https://")
_PARTS = re.compile(
    r"(?P<scheme>\w+)://(?:(?P<user>[^/?#]*)@)?(?P<host>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.DOTALL
)
_SIGNATURES = ("x-amz-", "x-goog-", "awsaccesskeyid", "googleaccessid", "key-pair-id", "signature", "expires", "policy")
_SHARED_ACCESS = frozenset(re.findall(r"\w+", "sv ss srt sp se st spr sip sr sig skoid sktid skt ske sks skv"))
_ENCODED = "/%:@!$&'()*+,;=~"  # signs of a path in an address that are left as they are


def is_address(text: str) -> bool:
    """Whether a text is the address of something in a bucket or on the web."""
    return text.lower().startswith(BUCKETS + _WEB)


def in_bucket(address: str) -> bool:
    """Whether an address leads to a bucket, which is opened with the user's own keys."""
    return address.lower().startswith(BUCKETS)


def parts_of(address: str) -> dict[str, str]:
    """scheme, user (with the password), host, path and rest (the query), as they are written."""
    match = _PARTS.fullmatch(address)
    return {name: part or "" for name, part in match.groupdict().items()} if match else {}


def shown_address(address: str) -> str:
    """Without what may be keys.

    >>> shown_address("https://me:secret@host/a/1.tar?X-Amz-Signature=secret")
    'https://host/a/1.tar'
    """
    parts = parts_of(address)
    return f"{parts['scheme']}://{parts['host']}{parts['path']}" if parts else address


def without_keys(text: str) -> str:
    """A sentence in which every address is shown as `shown_address` shows it."""
    return re.sub(r"\w+://\S+", lambda found: shown_address(found[0]), text)


def place_of(address: str) -> str:
    """What tells an address from others and stays when it is signed anew; without keys, which a digest hides."""
    query = [(name, value) for name, value in parse_qsl(parts_of(address)["rest"].lstrip("?")) if not _signs(name)]
    return shown_address(address) + (f"?{blake2b(repr(query).encode(), digest_size=8).hexdigest()}" if query else "")


def distinct(names: Sequence[str], addresses: Sequence[str]) -> list[str]:
    """The names, and behind those that several addresses share a digest of what tells these apart."""
    counts = Counter(names)
    several = {address: place_of(address) for name, address in zip(names, addresses, strict=True) if counts[name] > 1}
    return [
        f"{name}?{several[address].partition('?')[2]}" if address in several else name
        for name, address in zip(names, addresses, strict=True)
    ]


def joined(folder: str, path: str) -> str:
    """The address of a path below the address of a folder, which ends in a slash."""
    return folder + (path if in_bucket(folder) else quote(path, safe=_ENCODED))


def _signs(name: str) -> bool:
    return name.lower().startswith(_SIGNATURES) or name in _SHARED_ACCESS
