"""What a JPEG file says about itself ahead of its pixels. Imports no decoder and takes microseconds."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1)
_START_OF_SCAN, _FILL = 0xDA, 0xFF
_END = b"\xff\xd9"


@dataclass(frozen=True)
class Frame:
    """Size in pixels, and colour components (1 grayscale, 3 colour, 4 CMYK).

    ``whole``: the end marker is there, behind the pixels. ``one_pass``: all rows are coded from top to bottom in a
    single scan, by Huffman's codes. ``height_at``: where in the file the height is, two bytes.
    """

    width: int
    height: int
    components: int
    whole: bool
    one_pass: bool
    height_at: int


def frame(content: bytes) -> Frame | None:
    """Follow the markers up to the first scan; None for what is no JPEG, or too damaged to be followed."""
    if content[:3] != b"\xff\xd8\xff":
        return None
    at, start = 2, 0
    while at + 9 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == _START_OF_SCAN:
            return _frame(content, start, at) if start else None
        if marker in _START_OF_FRAME:
            start = at
        at += 1 if marker == _FILL else 2 + (content[at + 2] << 8 | content[at + 3])
    return None


def upper(content: bytes, of: Frame, rows: int) -> bytearray:
    """An image whose first ``rows`` rows are those of ``content`` to the bit, and which ends soon after them.

    It says that it is less high, and holds data beyond its end, of which libjpeg warns. For one pass only. Most
    of the time to decode goes into Huffman's codes, which can be read only from their beginning, but not only to
    their end.
    """
    # Smooth upsampling of chroma that has half the rows looks at the chroma row below, which is two rows.
    shortened = bytearray(content)
    struct.pack_into(">H", shortened, of.height_at, min(rows + 2, of.height))
    return shortened


def _frame(content: bytes, start: int, scan: int) -> Frame:
    height, width, components = struct.unpack_from(">HHB", content, start + 5)
    return Frame(
        width,
        height,
        components,
        # Coded pixels never hold an end marker, but a thumbnail ahead of them may.
        whole=content.rfind(_END, scan) > 0,
        one_pass=content[start + 1] in _SEQUENTIAL and content[scan + 4] == components,
        height_at=start + 5,
    )
