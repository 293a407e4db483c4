"""Request headers as HPACK blocks (RFC 7541), for requests whose headers are mostly the same.

What is constant enters the dynamic table with the first request and costs a byte from then on; what differs from
request to request is a plain literal that never enters the table. Nothing is Huffman-coded: that would cost more
time than it saves bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

Header = tuple[bytes, bytes]

_DEFAULT_TABLE = 4096
_ENTRY_OVERHEAD = 32
_STATIC_ENTRIES = 61
_STATIC_NAMES = {
    b":authority": 1, b":method": 2, b":path": 4, b":scheme": 6, b"accept": 19, b"accept-encoding": 16,
    b"authorization": 23, b"content-encoding": 26, b"content-length": 28, b"content-type": 31, b"expect": 35,
    b"host": 38, b"user-agent": 58,
}  # fmt: skip
_STATIC_PAIRS = {
    (b":method", b"GET"): 2, (b":method", b"POST"): 3, (b":path", b"/"): 4, (b":scheme", b"http"): 6,
    (b":scheme", b"https"): 7, (b"accept-encoding", b"gzip, deflate"): 16,
}  # fmt: skip
_INDEXED, _INCREMENTAL, _WITHOUT_INDEXING, _SIZE_UPDATE = 0x80, 0x40, 0x00, 0x20


class HeaderSet:
    """Headers that many requests share; compared by identity, so keep one for each kind of request.

    Args:
        authority: `host` or `host:port`.
        headers: regular headers, names in lower case.
        method: the HTTP method.
        scheme: `https` or `http`.

    Raises:
        ValueError: a name or value that HTTP does not allow.
    """

    __slots__ = ("pseudo", "regular")

    def __init__(
        self, authority: str, headers: Iterable[Header], *, method: str = "POST", scheme: str = "https"
    ) -> None:
        self.pseudo: tuple[Header, ...] = (
            (b":method", method.encode()),
            (b":scheme", scheme.encode()),
            (b":authority", authority.encode()),
        )
        self.regular = tuple(headers)
        for name, value in (*self.pseudo, *self.regular):
            check_header(name, value)


def check_header(name: bytes, value: bytes) -> None:
    """Whether a header may be sent.

    Raises:
        ValueError: control characters, or capital letters in a name.
    """
    if not name or name != name.lower() or any(byte <= 0x20 or byte >= 0x7F for byte in name):
        raise ValueError(f"{name!r} is not the name of a header")
    if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value) or value != value.strip():
        raise ValueError(f"the value of {name!r} has characters that a header may not have")


def literal(name: bytes, value: bytes) -> bytes:
    """A header that does not enter the table; for what differs from request to request."""
    index = _STATIC_NAMES.get(name, 0)
    head = _integer(_WITHOUT_INDEXING, 4, index)
    return head + (b"" if index else _text(name)) + _text(value)


class HeaderEncoder:
    """The encoding side of one connection; blocks must be sent in the order in which they were made.

    The table is as large as the peer allows, 4,096 bytes at most.
    """

    def __init__(self) -> None:
        self._limit = _DEFAULT_TABLE
        self._smallest: int | None = None  # a change of the limit that the peer has not been told of
        self._entries: deque[Header] = deque()  # the newest first
        self._size = 0
        self._entered = 0  # entries so far, those that have left included
        self._known: dict[HeaderSet, tuple[bytes, bytes]] = {}

    def resize(self, limit: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE."""
        limit = min(limit, _DEFAULT_TABLE)
        if limit == self._limit:
            return
        self._smallest = limit if self._smallest is None else min(limit, self._smallest)
        self._limit = limit
        self._evict(0)
        self._known.clear()  # the next block has to say so

    def encode(self, headers: HeaderSet, path: bytes, own: bytes = b"") -> bytes:
        """The block of a request.

        Args:
            headers: what it shares with others.
            path: `:path`.
            own: further headers of this request alone, as `literal` makes them.
        """
        known = self._known.get(headers)
        if known is None:
            known = self._learn(headers)
        if len(path) < 127:
            return b"%b\x04%c%b%b%b" % (known[0], len(path), path, known[1], own)
        return b"%b\x04%b%b%b" % (known[0], _text(path), known[1], own)

    def _learn(self, headers: HeaderSet) -> tuple[bytes, bytes]:
        update = b""
        if self._smallest is not None:
            update = _integer(_SIZE_UPDATE, 5, self._smallest)
            if self._smallest != self._limit:
                update += _integer(_SIZE_UPDATE, 5, self._limit)
            self._smallest = None
        entered = self._entered
        first = update + b"".join(self._add(*pair) for pair in headers.pseudo)
        second = b"".join(self._add(*pair) for pair in headers.regular)
        if self._entered == entered and not update:
            self._known[headers] = first, second  # everything was there: the block may be used again
        return first, second

    def _add(self, name: bytes, value: bytes) -> bytes:
        index = _STATIC_PAIRS.get((name, value))
        if index is None:
            index = self._find((name, value))
        if index is not None:
            return _integer(_INDEXED, 7, index)
        size = len(name) + len(value) + _ENTRY_OVERHEAD
        if size > self._limit:
            return literal(name, value)
        named = _STATIC_NAMES.get(name, 0)
        self._evict(size)
        self._entries.appendleft((name, value))
        self._size += size
        self._entered += 1
        self._known.clear()  # every index has moved
        return _integer(_INCREMENTAL, 6, named) + (b"" if named else _text(name)) + _text(value)

    def _find(self, pair: Header) -> int | None:
        try:
            return _STATIC_ENTRIES + 1 + self._entries.index(pair)
        except ValueError:
            return None

    def _evict(self, room: int) -> None:
        while self._entries and self._size + room > self._limit:
            name, value = self._entries.pop()
            self._size -= len(name) + len(value) + _ENTRY_OVERHEAD
            self._known.clear()


def _integer(pattern: int, bits: int, value: int) -> bytes:
    """An integer with a prefix of `bits` bits (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((pattern | value,))
    octets = [pattern | most]
    value -= most
    while value >= 128:
        octets.append(value % 128 + 128)
        value //= 128
    octets.append(value)
    return bytes(octets)


def _text(value: bytes) -> bytes:
    return _integer(0, 7, len(value)) + value
