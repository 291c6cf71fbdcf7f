"""`python -m benchmarks.mutate --files 10000 --seed 1`: broken DICOM files through the real index, rules and decoding.

Every file must end as kept, excluded or quarantined. What counts against the pipeline: a job that dies (crash), a file that takes longer than its limit
(hang), a process that outgrows its bound (memory), a ledger that does not add up (ledger), an untouched file that is not kept. A decoder that dies in a worker
costs one row by design, and is counted on its own.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import logging
import multiprocessing
import os
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing.connection import Connection
from pathlib import Path

import gdcm
import numpy as np
import pandas as pd
import pydicom
from pydicom import uid
from pydicom.filebase import DicomBytesIO

from benchmarks.__main__ import machine, writable
from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.index import build_index
from lookalike.cohort.ledger import public_ledger, reconcile
from lookalike.config import Exclude, Pixels
from lookalike.errors import LookalikeError
from lookalike.phantoms import dicom
from lookalike.phantoms.collection import plan, render
from lookalike.pixels import prepare

SHAPE = (160, 128)
PATIENTS = 8
BATCH = 100
# Of one file, decoded; broken ones are refused in milliseconds, the largest picture that is let in takes seconds on a quiet machine.
SECONDS = 60.0
# Peak resident memory of any process in bytes, above what it starts with: the worker's bound, and what is counted otherwise.
MEMORY = prepare.MEMORY + 2.5e8
BAD = ("crash", "hang", "memory", "ledger")
OUTCOMES = ("kept", "excluded", "unreadable", "undecodable", "decoder died", *BAD)
GDCM = gdcm.TransferSyntax
RECODED = {
    "JPEG lossless": GDCM.JPEGLosslessProcess14,
    "JPEG lossless SV1": GDCM.JPEGLosslessProcess14_1,
    "JPEG 2000": GDCM.JPEG2000,
    "JPEG 2000 lossless": GDCM.JPEG2000Lossless,
    "JPEG-LS": GDCM.JPEGLSLossless,
    "JPEG-LS near": GDCM.JPEGLSNearLossless,
    "RLE": GDCM.RLELossless,
}
BASELINE = {"JPEG baseline": GDCM.JPEGBaselineProcess1}
NATIVE = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}
ROWS, COLUMNS, PIXELS = 0x00280010, 0x00280011, 0x7FE00010
LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
Rng = np.random.Generator


# --- sources -----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A whole file in two: head (preamble and file meta information) and body (the data set, inflated where the syntax deflates it)."""

    syntax: str
    head: bytes
    body: bytes

    @property
    def order(self) -> str:
        return ">" if self.syntax == "big endian" else "<"

    @property
    def implicit(self) -> bool:
        return self.syntax == "implicit"

    def whole(self) -> bytes:
        if self.syntax != "deflated":
            return self.head + self.body
        squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return self.head + squeeze.compress(self.body) + squeeze.flush()

    def elements(self) -> list[tuple[int, int, int]]:
        """Tag, start of the element and start of its value, in the body, of all at the top."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = pydicom.filereader.read_dataset(DicomBytesIO(self.body), self.implicit, self.order == "<")
        found = []
        for tag in sorted(raw.keys()):
            key = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
            start = self.body.index(key, found[-1][2] if found else 0)
            long = not self.implicit and self.body[start + 4 : start + 6] in LONG
            found.append((int(tag), start, start + (12 if long else 8)))
        return found

    def element(self, tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
        """One element; length: what its header says of it, None for the truth."""
        value += b"\0" * (len(value) % 2)
        length = len(value) if length is None else length
        key = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return key + struct.pack(f"{self.order}I", length) + value
        if vr in LONG:
            return key + vr + struct.pack(f"{self.order}HI", 0, length) + value
        return key + vr + struct.pack(f"{self.order}H", length % 2**16) + value

    def put(self, tag: int, vr: bytes, value: bytes, length: int | None = None) -> Source:
        """With this element in place of the one of its tag, or in its place in the order."""
        elements = self.elements()
        after = [start for other, start, _ in elements if other > tag] or [len(self.body)]
        before = [start for other, start, _ in elements if other >= tag] or [len(self.body)]
        return replace(self, body=self.body[: before[0]] + self.element(tag, vr, value, length) + self.body[after[0] :])

    def number(self, tag: int, value: int) -> Source:
        return self.put(tag, b"US", struct.pack(f"{self.order}H", value % 2**16))

    def text(self, tag: int, vr: bytes, value: bytes) -> Source:
        return self.put(tag, vr, value + b" " * (len(value) % 2))


@cache
def sources(seed: int) -> tuple[Source, ...]:
    """One phantom in every syntax that can be written here."""
    planned = plan(patients=PATIENTS, seed=seed)
    file = next(file for file in planned.files if file.planted == "none" and planned.subjects[file.subject].vendor.bits == 12)
    subject = planned.subjects[file.subject]
    explicit = replace(subject.vendor, syntax=str(uid.ExplicitVRLittleEndian))
    shot, pixels = render(subject, file, shape=SHAPE, seed=seed)
    twelve = dicom.dataset(replace(shot, vendor=explicit), pixels)
    eight = dicom.dataset(replace(shot, vendor=replace(dicom.VENDORS[-1], syntax=explicit.syntax)), (pixels >> 4).astype(np.uint8))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, syntax in NATIVE.items():
            twelve.file_meta.TransferSyntaxUID = syntax
            twelve.PixelData = pixels.astype(">u2" if name == "big endian" else "<u2").tobytes()
            found.append(_parted(name, _saved(twelve, Path(folder, "file"), syntax)))
        for names, data in ((RECODED, twelve), (BASELINE, eight)):
            plain = Path(folder, "plain")
            data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
            data.PixelData = (pixels if data is twelve else (pixels >> 4).astype(np.uint8)).tobytes()
            _saved(data, plain, uid.ExplicitVRLittleEndian)
            for name, code in names.items():
                found.append(_parted(name, _recoded(plain, code)))
    return tuple(found)


def _saved(data: pydicom.Dataset, path: Path, syntax: uid.UID) -> bytes:
    data.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian, enforce_file_format=True)
    return path.read_bytes()


def _recoded(path: Path, syntax: int) -> bytes:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise RuntimeError("GDCM cannot read the phantom")
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"GDCM cannot write syntax {syntax}")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path.with_name("recoded")))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError(f"GDCM cannot write syntax {syntax}")
    return path.with_name("recoded").read_bytes()


def _parted(name: str, data: bytes) -> Source:
    end = 144 + pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).file_meta.FileMetaInformationGroupLength
    body = zlib.decompress(data[end:], -zlib.MAX_WBITS) if name == "deflated" else data[end:]
    return Source(name, data[:end], body)


# --- mutations ---------------------------------------------------------------------------------------------------------------------------------

NUMBERS = [b"NaN", b"inf", b"-inf", b"1e308", b"-1e308", b"1e999", b"0", b"-0", b"-1", b"", b"\\", b"\\\\\\", b"1,5", b"0x10", b"9" * 5000]
NUMBERS += [b"99999999999999999999", b"1e300", b"4294967296", b"-2147483649", b"1\\2\\3\\4", b"five", b"\xff\xfe", b"1e-320", b" ", b"+-3"]
NUMERIC = {
    0x00281050: b"DS",  # window centre, width
    0x00281051: b"DS",
    0x00281052: b"DS",  # rescale intercept, slope
    0x00281053: b"DS",
    0x00181164: b"DS",  # imager pixel spacing
    0x00280030: b"DS",
    0x00181114: b"DS",  # magnification
    0x00280008: b"IS",  # frames
    0x00200011: b"IS",  # series, instance
    0x00200013: b"IS",
    0x00200032: b"DS",  # position, orientation
    0x00200037: b"DS",
    0x00101010: b"AS",
    0x00080032: b"TM",
    0x00080022: b"DA",
    0x00280120: b"US",  # padding
}
CHARSETS = [
    b"ISO 2022 IR 87",
    b"\\ISO 2022 IR 149",
    b"GB18030",
    b"ISO_IR 192",
    b"ISO_IR 13\\ISO 2022 IR 159",
    b"utf_16",
    b"punycode",
    b"no such",
    b"\xff\\\x00",
]
TEXTS = {
    0x00100020: b"LO",
    0x0008103E: b"LO",
    0x00185101: b"CS",
    0x0020000D: b"UI",
    0x0020000E: b"UI",
    0x00080018: b"UI",
    0x00080008: b"CS",
    0x00080070: b"LO",
}
FORMAT = {0x00280002: 5, 0x00280006: 3, 0x00280100: 70, 0x00280101: 70, 0x00280102: 70, 0x00280103: 4}
"""Samples, planar configuration, bits allocated and stored, high bit, signedness: tags, and what their lies stay below."""
VRS = [
    *LONG,
    b"AE",
    b"AS",
    b"AT",
    b"CS",
    b"DA",
    b"DS",
    b"DT",
    b"FD",
    b"FL",
    b"IS",
    b"LO",
    b"LT",
    b"PN",
    b"SH",
    b"SL",
    b"SS",
    b"ST",
    b"TM",
    b"UI",
    b"UL",
    b"US",
]
SIZES = [0, 1, 2, 255, 4096, 8192, 16384, 32767, 65535]


def untouched(source: Source, rng: Rng) -> bytes:
    return source.whole()


def bytes_flipped(source: Source, rng: Rng) -> bytes:
    data = np.frombuffer(source.whole(), np.uint8).copy()
    reach = len(data) if rng.random() < 0.5 else min(len(data), 3000)
    at = rng.integers(0, reach, rng.integers(1, 30))
    data[at] = rng.integers(0, 256, len(at)) if rng.random() < 0.5 else data[at] ^ (1 << rng.integers(0, 8, len(at)))
    return data.tobytes()


def pixels_flipped(source: Source, rng: Rng) -> bytes:
    start = source.elements()[-1][2]
    data = np.frombuffer(source.body, np.uint8).copy()
    reach = len(data) if rng.random() < 0.3 else min(len(data), start + 200)
    at = rng.integers(start, reach, rng.integers(1, 20))
    data[at] = rng.integers(0, 256, len(at))
    return replace(source, body=data.tobytes()).whole()


def truncated(source: Source, rng: Rng) -> bytes:
    data = source.whole()
    return data[: rng.integers(0, len(data))]


def lying_length(source: Source, rng: Rng) -> bytes:
    _, start, value = _any(source, rng)
    lies = [0, 1, 7, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, int(rng.integers(2**32)), len(source.body)]
    lie = lies[rng.integers(len(lies))]
    short = not source.implicit and value - start == 8
    length = struct.pack(f"{source.order}H", lie % 2**16) if short else struct.pack(f"{source.order}I", lie)
    return replace(source, body=source.body[: value - len(length)] + length + source.body[value:]).whole()


def absurd_size(source: Source, rng: Rng) -> bytes:
    for tag in (ROWS, COLUMNS):
        if rng.random() < 0.7:
            source = source.number(tag, SIZES[rng.integers(len(SIZES))])
    if rng.random() < 0.3:
        source = source.text(0x00280008, b"IS", NUMBERS[rng.integers(len(NUMBERS))])
    return source.whole()


def strip(source: Source, rng: Rng) -> bytes:
    """A picture of a few pixels' width, whole and true, whose pixels are large enough for its field of view."""
    width = int(rng.integers(1, 5))
    shape = (SHAPE[0] * SHAPE[1] // width, width)[:: rng.choice([-1, 1])]
    source = source.number(ROWS, shape[0]).number(COLUMNS, shape[1]).text(0x00181164, b"DS", b"200\\200")
    if source.syntax in NATIVE:
        source = source.put(PIXELS, b"OW", rng.bytes(2 * shape[0] * shape[1]))
    return source.whole()


def nested(source: Source, rng: Rng) -> bytes:
    depth = int(10 ** rng.uniform(0.5, 4.5))
    tags = [0x00540220, 0x00540222, 0x00091001, 0x00283010]
    tag = tags[rng.integers(len(tags))]
    if rng.random() < 0.5:  # lengths undefined; half of them without an end
        item, sequence = struct.pack(f"{source.order}HHI", 0xFFFE, 0xE000, 2**32 - 1), source.element(tag, b"SQ", b"", 2**32 - 1)
        close = b"".join(struct.pack(f"{source.order}HHI", 0xFFFE, end, 0) for end in (0xE00D, 0xE0DD))
        value = (item + sequence) * depth + (close * depth if rng.random() < 0.5 else b"")
        return source.put(tag, b"SQ", value, 2**32 - 1).whole()
    value = b""
    for _ in range(min(depth, 3000)):
        value = struct.pack(f"{source.order}HHI", 0xFFFE, 0xE000, len(value)) + value
        value = source.element(tag, b"SQ", value)
    return source.put(tag, b"SQ", struct.pack(f"{source.order}HHI", 0xFFFE, 0xE000, len(value)) + value).whole()


def wrong_vr(source: Source, rng: Rng) -> bytes:
    body = bytearray(source.body)
    for _ in range(rng.integers(1, 5)):
        _, start, value = _any(source, rng)
        if source.implicit:
            body[value : value + 4] = rng.bytes(4)
        else:
            body[start + 4 : start + 6] = VRS[rng.integers(len(VRS))] if rng.random() < 0.8 else rng.bytes(2)
    return replace(source, body=bytes(body)).whole()


def unknown_syntax(source: Source, rng: Rng) -> bytes:
    known = [str(syntax) for syntax in (*uid.AllTransferSyntaxes, *uid.PrivateTransferSyntaxes)]
    names = [*known, "1.2.3.4", "", "not a uid", "1.2.840.10008.1.2.4.999", "1.2.840.113619.5.2"]
    name = names[rng.integers(len(names))].encode()
    name += b"\0" * (len(name) % 2)
    start = source.head.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack("<H", source.head[start + 6 : start + 8])[0]
    rest = source.head[start + 8 + length :]
    meta = source.head[144:start] + source.head[start : start + 6] + struct.pack("<H", len(name)) + name + rest
    return replace(source, head=source.head[:140] + struct.pack("<I", len(meta)) + meta).whole()


def bomb(source: Source, rng: Rng) -> bytes:
    """What is small on disk and large in memory."""
    side = (4096, 8192, 16384, 65535)[rng.integers(4)]
    if source.syntax == "deflated":
        block = _zeros()
        megabytes = (64, 256, 1024, 4096)[rng.integers(4)]
        places = [(PIXELS, b"OW"), (0x00091001, b"UN"), (0x0008103E, b"LT")]
        tag, vr = places[rng.integers(3)]
        start = next((start for other, start, _ in source.elements() if other >= tag), len(source.body))
        lead = source.body[:start] + source.element(tag, vr if vr != b"LT" else b"UT", b"", 2**20 * megabytes if megabytes < 4096 else 2**32 - 2)
        squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        end = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return source.head + squeeze.compress(lead) + squeeze.flush(zlib.Z_FULL_FLUSH) + block * (megabytes // 16) + end.compress(b"") + end.flush()
    if rng.random() < 0.7:
        source = source.number(ROWS, side).number(COLUMNS, side)
    start = source.elements()[-1][2]
    body = bytearray(source.body)
    if source.syntax == "RLE":
        runs = b"\x81\x00" * (min(side, 16384) ** 2 // 128 if rng.random() < 0.5 else 2**20)
        frame = struct.pack("<16I", 2, 64, 64 + len(runs), *[0] * 13) + runs * 2
        return source.put(PIXELS, b"OB", items(b"", frame), 2**32 - 1).whole()
    for marker, at in ((b"\xff\xc0", 5), (b"\xff\xc1", 5), (b"\xff\xc3", 5), (b"\xff\xf7", 5)):  # JPEG and JPEG-LS: height, width
        found = body.find(marker, start)
        if found >= 0 and source.syntax.startswith("JPEG") and "2000" not in source.syntax:
            body[found + at : found + at + 4] = struct.pack(">HH", side, side)
    found = body.find(b"\xff\x4f\xff\x51", start)
    if found >= 0:  # JPEG 2000: image size, and in half of them the tile's
        size = struct.pack(">II", *(2 * [side if rng.random() < 0.7 else 2**20]))
        body[found + 8 : found + 16] = size
        if rng.random() < 0.5:
            body[found + 24 : found + 32] = size
    return replace(source, body=bytes(body)).whole()


def header_bomb(source: Source, rng: Rng) -> bytes:
    """The same in what the index reads: an identifier of many bytes, a sequence of many items, many empty elements."""
    small = source.syntax != "deflated"
    kind = rng.integers(3)
    if kind == 0:
        return source.put(0x00100020, b"UN", b"\xe9" * int(2**20 * rng.integers(1, 8 if small else 64))).whole()
    item = struct.pack(f"{source.order}HHI", 0xFFFE, 0xE000, 0)
    if kind == 1:
        return source.put(0x00540220, b"SQ", item * int(10 ** rng.uniform(2, 5))).whole()
    start = source.elements()[-1][1]
    return replace(source, body=source.body[:start] + bytes(8 * int(10 ** rng.uniform(2, 5))) + source.body[start:]).whole()


def doubled_preamble(source: Source, rng: Rng) -> bytes:
    data = source.whole()
    forms = [
        data[:132] + data,
        data[132:],
        data[:144] + data[132:],
        data[: len(source.head)] + data,
        data + data,
        data[128:],
        b"\0" * 128 + data[132:],
    ]
    return forms[rng.integers(len(forms))]


def tiny(source: Source, rng: Rng) -> bytes:
    data = source.whole()
    ends = [0, 1, 127, 131, 132, 133, 139, 144, len(source.head), len(source.head) + 4, len(source.head) + 8]
    return data[: ends[rng.integers(len(ends))]] if rng.random() < 0.9 else rng.bytes(int(rng.integers(1, 3000)))


def endless(source: Source, rng: Rng) -> bytes:
    """An undefined length without its end."""
    tag, _, _ = _any(source, rng)
    vr = (b"UN", b"OB", b"SQ", b"UT", b"OW")[rng.integers(5)]
    return source.put(tag, vr, (b"", rng.bytes(200), b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 50)[rng.integers(3)], 2**32 - 1).whole()


def bad_text(source: Source, rng: Rng) -> bytes:
    source = source.text(0x00080005, b"CS", CHARSETS[rng.integers(len(CHARSETS))])
    pieces = [
        b"\x1b$B\x21",
        b"\x1b$)C\xff",
        b"\xed\xa0\x80",
        b"\xff\xfe\x00\xd8",
        b"\\",
        b"\x00",
        b"^=",
        b"\n,\"'",
        rng.bytes(6),
        b"\xf0\x9f\x92\xa9",
        b"a" * 70_000,
    ]
    for tag, vr in TEXTS.items():
        if rng.random() < 0.6:
            value = b"".join(pieces[i] for i in rng.integers(0, len(pieces), rng.integers(1, 6)))
            source = source.text(tag, vr, value[:65_000])
    return source.whole()


def bad_number(source: Source, rng: Rng) -> bytes:
    tags = list(NUMERIC)
    for tag in (tags[i] for i in rng.choice(len(tags), rng.integers(1, 5), replace=False)):
        vr = NUMERIC[tag] if rng.random() < 0.8 else b"UN"
        both = b"\\" if tag in (0x00181164, 0x00280030) else b""
        value = NUMBERS[rng.integers(len(NUMBERS))]
        source = source.text(tag, vr, value + both + value if both else value)
    return source.whole()


def pixel_format(source: Source, rng: Rng) -> bytes:
    tags = list(FORMAT)
    for tag in (tags[i] for i in rng.choice(len(tags), rng.integers(1, 5), replace=False)):
        source = source.number(tag, int(rng.integers(FORMAT[tag])) if rng.random() < 0.9 else 65535)
    if rng.random() < 0.3:
        names = [b"RGB", b"YBR_FULL_422", b"PALETTE COLOR", b"MONOCHROME1", b"", b"MONOCHROME3"]
        source = source.text(0x00280004, b"CS", names[rng.integers(len(names))])
    return source.whole()


def lookup_table(source: Source, rng: Rng) -> bytes:
    """Tables whose descriptors lie."""
    descriptor = struct.pack(f"{source.order}3H", *rng.choice([0, 1, 8, 16, 255, 4096, 65535], 3))
    data = (b"", b"\0\1", rng.bytes(int(rng.integers(1, 600))), b"\0" * 8192)[rng.integers(4)]
    item = source.element(0x00283002, b"US", descriptor) + source.element(0x00283006, (b"US", b"OW", b"UN")[rng.integers(3)], data)
    tag = (0x00283000, 0x00283010)[rng.integers(2)]
    value = struct.pack(f"{source.order}HHI", 0xFFFE, 0xE000, len(item)) + item
    return source.put(tag, b"SQ", value if rng.random() < 0.9 else b"").whole()


def spliced(source: Source, rng: Rng) -> bytes:
    data = source.whole()
    first, second = sorted(rng.integers(0, len(data), 2))
    return data[:second] + data[first:] if rng.random() < 0.5 else data[:first] + data[second:]


def _any(source: Source, rng: Rng) -> tuple[int, int, int]:
    elements = source.elements()
    return elements[-1] if rng.random() < 0.15 else elements[rng.integers(len(elements))]


def items(*items: bytes) -> bytes:
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items) + end


@cache
def _zeros() -> bytes:
    """16 MiB of zeros, deflated: blocks of it can be joined."""
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return squeeze.compress(bytes(2**24)) + squeeze.flush(zlib.Z_FULL_FLUSH)


MUTATIONS: dict[str, Callable[[Source, Rng], bytes]] = {
    mutation.__name__: mutation
    for mutation in (
        untouched,
        bytes_flipped,
        pixels_flipped,
        truncated,
        lying_length,
        absurd_size,
        strip,
        nested,
        wrong_vr,
        unknown_syntax,
        bomb,
        header_bomb,
        doubled_preamble,
        tiny,
        endless,
        bad_text,
        bad_number,
        pixel_format,
        lookup_table,
        spliced,
    )
}


def mutated(number: int, seed: int) -> tuple[str, str, bytes]:
    """Mutation, syntax and bytes of the n-th file."""
    rng = np.random.default_rng([seed, number])
    originals = sources(seed)
    source = originals[(number // len(MUTATIONS)) % len(originals)]
    name = list(MUTATIONS)[number % len(MUTATIONS)]
    return name, source.syntax, MUTATIONS[name](source, rng)


# --- the pipeline ------------------------------------------------------------------------------------------------------------------------------


def pipeline(root: Path, output: Path, *, processes: int = 1) -> pd.DataFrame:
    """What the rules of the workflow do with a cohort's files, and its ledger, beside the paths.

    As all files are of one image, the rules of duplicates are left out, and that of foreign bodies, one of which the detector sees in the image of some seeds.
    """
    exclude, pixels = Exclude(pixel_rules=("blank", "burned_in_pixels")), Pixels(levels=5)
    index = build_index(root, adapter="dicom", table=None, key=b"a key of sixteen bytes or more", processes=processes, maximum_quarantined=1.0)
    index.to_parquet(output / "index.parquet", index=False)
    decisions = apply_header_rules(index, exclude)
    candidates = index[(decisions["decision"] == "candidate").to_numpy()]
    store = output / "part-000.zarr"
    features = prepare.prepare_part(candidates, root=root, part=0, pixels=pixels, kind="mammography", output=store, processes=processes)
    features.to_parquet(output / "features.parquet", index=False)
    decisions = apply_pixel_rules(decisions, features, exclude)
    reconcile(index, decisions)
    ledger = public_ledger(decisions)
    ledger.to_csv(output / "exclusions.csv", index=False)
    return ledger.assign(path=index["path"].to_numpy())


Work = Callable[[Path, Path], pd.DataFrame]


@dataclass(frozen=True)
class Verdict:
    """What became of a file: one of `OUTCOMES`, and why."""

    outcome: str
    why: str


def judge(files: Sequence[Path], scratch: Path, work: Work = pipeline) -> tuple[dict[str, Verdict], float]:
    """A verdict for each of the files, by name, and the largest memory of a process in bytes. A batch that fails is halved until the file is found."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    root, output = folder / "files", folder / "output"
    root.mkdir()
    output.mkdir()
    for file in files:
        os.link(file, root / file.name)
    ledger, memory, failure = _in_child(work, root, output, limit=SECONDS + 0.5 * len(files))
    shutil.rmtree(folder)
    if ledger is not None:
        return {path: _verdict(*row) for path, *row in ledger[["path", "decision", "rule", "detail"]].itertuples(index=False)}, memory
    if len(files) == 1:
        return {files[0].name: failure}, memory
    half = len(files) // 2
    found: dict[str, Verdict] = {}
    for part in (files[:half], files[half:]):
        verdicts, most = judge(part, scratch, work)
        found |= verdicts
        memory = max(memory, most)
    if not any(verdict.outcome in BAD for verdict in found.values()):
        found[files[0].name] = replace(failure, why=f"{failure.why}; only together with the files of its batch")
    return found, memory


def _verdict(decision: str, rule: str, detail: str) -> Verdict:
    if detail.startswith("the decoder took more"):
        return Verdict("hang", detail)
    if detail == "the decoder crashed":
        return Verdict("decoder died", detail)
    return Verdict(rule if decision == "quarantined" else decision, f"{rule}: {detail}" if rule else "")


def _in_child(work: Work, root: Path, output: Path, *, limit: float) -> tuple[pd.DataFrame | None, float, Verdict]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(work, root, output, theirs))
    child.start()
    theirs.close()
    try:
        ledger, memory, error = ours.recv() if ours.poll(limit) else (None, 0.0, ("hang", f"more than {limit:.0f} s"))
    except EOFError:
        ledger, memory, error = None, 0.0, ("crash", "the process died")
    child.kill()
    child.join()
    if ledger is not None:
        names = sorted(path.name for path in root.iterdir())
        if sorted(ledger["path"]) != names:
            ledger, error = None, ("ledger", f"{len(ledger)} rows of {len(names)} files")
    if memory > MEMORY:
        ledger, error = None, ("memory", f"{memory / 1e9:.1f} GB")
    return ledger, memory, Verdict(*error)


def _child(work: Work, root: Path, output: Path, answer: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders write there, thousands of lines
    faulthandler.disable()  # pytest's, which would tell of every decoder that dies
    logging.disable(logging.WARNING)
    prepare.DECODE_SECONDS = SECONDS
    before = _resident()
    ledger, error = None, ("", "")
    try:
        ledger = work(root, output)
    except LookalikeError as problem:
        error = ("ledger" if "ledger" in str(problem) else "crash", str(problem).splitlines()[0])
    except BaseException as problem:
        error = ("crash", f"{type(problem).__name__}: {problem}"[:300])
    for worker in multiprocessing.active_children():
        worker.join()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024.0
    answer.send((ledger, peak - before, error))


def _resident() -> float:
    """Resident memory of this process in bytes, which its children start with."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))


@dataclass
class Attack:
    """What came of all files.

    counts: (mutation, outcome); reasons: of quarantines and failures; memory: peak of a process above its start, bytes; notable: failures and dead decoders,
    by number.
    """

    counts: Counter[tuple[str, str]]
    reasons: Counter[str]
    memory: float
    notable: dict[int, str]

    @property
    def failures(self) -> int:
        return sum(count for (mutation, outcome), count in self.counts.items() if outcome in BAD or (mutation == "untouched" and outcome != "kept"))


def attack(files: int, seed: int, scratch: Path, *, work: Work = pipeline, keep: Path | None = None) -> Iterator[tuple[int, Attack]]:
    """Send files of `mutated` through the pipeline; after each batch, how many are through and what came of them. keep: where failures are copied to."""
    told = Attack(Counter(), Counter(), 0.0, {})
    for first in range(0, files, BATCH):
        folder = Path(tempfile.mkdtemp(dir=scratch))
        names = {}
        for number in range(first, min(first + BATCH, files)):
            mutation, syntax, data = mutated(number, seed)
            path = folder / f"{number:06d}.dcm"
            path.write_bytes(data)
            names[path.name] = (number, mutation, syntax)
        verdicts, memory = judge(sorted(folder.iterdir()), scratch, work)
        told.memory = max(told.memory, memory)
        for name, (number, mutation, syntax) in names.items():
            verdict = verdicts.get(name, Verdict("ledger", "no row"))
            told.counts[mutation, verdict.outcome] += 1
            if verdict.outcome not in ("kept", "excluded"):
                told.reasons[f"{verdict.outcome}: {verdict.why}"] += 1
            if verdict.outcome in (*BAD, "decoder died"):
                told.notable[number] = f"{mutation}, {syntax}: {verdict.outcome} ({verdict.why})"
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, keep / name)
        shutil.rmtree(folder)
        yield min(first + BATCH, files), told


def table(counts: Counter[tuple[str, str]]) -> str:
    """Mutations by outcomes."""
    lines = [f"{'':18}" + "".join(f"{outcome:>13}" for outcome in OUTCOMES)]
    for mutation in (*MUTATIONS, "all"):
        row = [sum(n for (kind, what), n in counts.items() if what == outcome and mutation in (kind, "all")) for outcome in OUTCOMES]
        lines.append(f"{mutation:18}" + "".join(f"{number or '':>13}" for number in row))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutate", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many, 1 or more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that decode")
    parser.add_argument("--keep", type=Path, help="a folder for the files that failed, and those that took a decoder down")
    parser.add_argument("--output", type=writable, default="benchmarks/runs/mutate.json")
    asked = parser.parse_args()
    if asked.files < 1 or asked.workers < 1 or asked.seed < 0:
        parser.error("--files and --workers must be 1 or more, and --seed 0 or more")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for done, told in attack(asked.files, asked.seed, Path(scratch), work=partial(pipeline, processes=asked.workers), keep=asked.keep):
            print(
                f"{done} of {asked.files}, {time.monotonic() - started:.0f} s, {told.failures} failures, memory {told.memory / 1e9:.2f} GB",
                flush=True,
            )
    print(f"\n{table(told.counts)}\n")
    for reason, count in told.reasons.most_common(40):
        print(f"{count:6} {reason}")
    for number, what in told.notable.items():
        print(f"file {number} of seed {asked.seed}: {what}")
    about = {
        **machine(),
        "files": asked.files,
        "seed": asked.seed,
        "seconds": time.monotonic() - started,
        "memory": told.memory,
        "failures": told.failures,
    }
    counts: dict[str, dict[str, int]] = {}
    for (mutation, outcome), count in sorted(told.counts.items()):
        counts.setdefault(mutation, {})[outcome] = count
    asked.output.write_text(json.dumps({**about, "counts": counts, "reasons": dict(told.reasons), "notable": told.notable}, indent=1) + "\n")
    print(f"\n{told.failures} failures; {asked.output}")
    sys.exit(1 if told.failures else 0)


if __name__ == "__main__":
    main()
