"""DICOM files of simulated mammograms: the headers, quirks and encodings of five fictitious vendors.

Each vendor bundles habits that are seen in real archives, so that a reader which handles all five has met most of them: both polarities, 8, 12 and
14 bits, one window, several, a sigmoid, a look-up table or nothing else, padding values, a rescale, views named by text or by code alone, implant
tags present or absent, and six ways to store pixels. Pixels are stored such that the vendor's own first window (or its table) shows the rendering.

Source: DICOM PS3.3 A.26 (Digital Mammography X-Ray Image IOD), C.8.11 (its modules), C.11.2 (VOI LUT); PS3.16 CID 4014, 4015 (views, modifiers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import compress
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
    UltrasoundImageStorage,
    generate_uid,
)

Array = np.ndarray
FOR_PRESENTATION = str(DigitalMammographyXRayImageStorageForPresentation)
FOR_PROCESSING = str(DigitalMammographyXRayImageStorageForProcessing)
TOMOSYNTHESIS = str(BreastTomosynthesisImageStorage)
ULTRASOUND = str(UltrasoundImageStorage)
IMPLEMENTATION = generate_uid(entropy_srcs=["lookalike phantoms"])
LEVELS = 4096
"""Grey levels of a rendering that are told apart when it is stored."""

VIEW_CODES = {
    "CC": ("R-10242", "399162004", "cranio-caudal"),
    "MLO": ("R-10226", "399368009", "medio-lateral oblique"),
    "ML": ("R-10224", "399260004", "medio-lateral"),
    "XCCL": ("R-1024A", "399192008", "cranio-caudal exaggerated laterally"),
    "SPECIMEN": ("G-8310", "127457009", "tissue specimen from breast"),
}
"""View: SNOMED RT code, SNOMED CT code, meaning."""
MODIFIER_CODES = {
    "implant displaced": ("R-102D5", "399209000", "Implant Displaced"),
    "magnification": ("R-102D6", "399163009", "Magnification"),
    "spot compression": ("R-102D7", "399055006", "Spot Compression"),
}


@dataclass(frozen=True)
class Window:
    """A display window in units after the rescale."""

    centre: float
    width: float
    name: str


@dataclass(frozen=True)
class Vendor:
    """What one make of machine writes into its files.

    Attributes:
        bits: bits stored; 8 are allocated as 8, more as 16.
        inverted: MONOCHROME1, where low values are white.
        windows: display windows; the first is the default. None: only the look-up table.
        sigmoid: the windows are to be applied as VOILUTFunction SIGMOID.
        tables: write a VOI LUT Sequence, an item a window (or the one table of a vendor without windows).
        padding: pixel padding value and range limit, both inclusive; None = not written.
        slope, intercept: of the rescale (the standard wants 1 and 0 here; not all machines do).
        view_position: ViewPosition is written; otherwise only the code sequence tells the view.
        scheme: coding scheme of views; SNM3 is the retired name of SRT.
        implant_tag, burned_in_tag: BreastImplantPresent and BurnedInAnnotation are written.
        image_type: ImageType of an ordinary image.
        share: share of the patients.
    """

    manufacturer: str
    model: str
    syntax: str
    bits: int
    share: float
    inverted: bool = False
    windows: tuple[Window, ...] = ()
    sigmoid: bool = False
    tables: bool = False
    padding: tuple[int, int] | None = None
    slope: float = 1.0
    intercept: float = 0.0
    view_position: bool = True
    scheme: Literal["SRT", "SNM3", "SCT"] = "SRT"
    implant_tag: bool = False
    burned_in_tag: bool = True
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "")


VENDORS = (
    Vendor(
        manufacturer="AURIGA MEDICAL",
        model="Mammoscan 2000D",
        syntax=JPEGLosslessSV1,
        bits=12,
        share=0.26,
        windows=(Window(2600, 900, "NORMAL"), Window(2660, 750, "HARDER"), Window(2520, 1050, "SOFTER")),
        sigmoid=True,
        tables=True,
        padding=(0, 30),
        scheme="SNM3",
        implant_tag=True,
    ),
    Vendor(
        manufacturer="Borealis Imaging, Inc.",
        model="Corona Dimensions",
        syntax=JPEG2000Lossless,
        bits=12,
        share=0.16,
        windows=(Window(2047, 3200, "DEFAULT"), Window(1900, 3600, "LOW CONTRAST")),
        implant_tag=True,
        image_type=("DERIVED", "PRIMARY", ""),
    ),
    Vendor(
        manufacturer="Corvid Röntgen AG",
        model="AMULA f/s",
        syntax=ImplicitVRLittleEndian,
        bits=14,
        share=0.2,
        inverted=True,
        tables=True,
        padding=(16383, 16300),
        burned_in_tag=False,
    ),
    Vendor(
        manufacturer="DELPHIN Healthcare",
        model="Inspira 3",
        syntax=ExplicitVRLittleEndian,
        bits=14,
        share=0.2,
        windows=(Window(9000, 13000, "WINDOW1"),),
        slope=2.0,
        intercept=-1024.0,
        view_position=False,
        scheme="SCT",
    ),
    Vendor(
        manufacturer="",
        model="",
        syntax=RLELossless,
        bits=8,
        share=0.18,
        windows=(Window(128, 256, "Full width of 8 bit data"),),
        view_position=False,
        burned_in_tag=False,
        image_type=("DERIVED", "PRIMARY"),
    ),
)
TABLE_FIRST, TABLE_SIZE, TABLE_GAMMA = 900, 14000, 0.8
"""First value, length and exponent of the look-up table of the vendor that has no windows."""


@dataclass(frozen=True)
class Person:
    """The fictitious person on the file: every value must be gone after de-identification."""

    patient_id: str
    name: str
    birth_date: str
    age: int
    study_date: str
    study_time: str
    accession: str
    institution: str
    physician: str


@dataclass(frozen=True)
class Shot:
    """One file's header, as far as files of one vendor differ.

    Attributes:
        view: a key of `VIEW_CODES`; "" = the header does not tell.
        pixel: edge of a pixel at the detector in mm.
        implant, burned_in: a value for the tag; None = as the vendor always does.
        modifiers: keys of `MODIFIER_CODES`.
        image_type: None = the vendor's usual.
    """

    vendor: Vendor
    person: Person
    view: str
    laterality: str
    number: int
    pixel: float
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str = FOR_PRESENTATION
    modality: str = "MG"
    image_type: tuple[str, ...] | None = None
    modifiers: tuple[str, ...] = ()
    implant: str | None = None
    burned_in: str | None = None
    detector_mode: str = ""
    paddle: str = ""
    description: str = ""
    magnification: float = 1.0


@lru_cache(maxsize=16)
def _stored_levels(vendor: Vendor) -> Array:
    """Stored value of each of `LEVELS` display levels: the inverse of what a workstation does with the vendor's default display."""
    y = np.linspace(0, 1, LEVELS)
    if vendor.inverted:
        y = 1 - y
    if not vendor.windows:
        x = TABLE_FIRST + (TABLE_SIZE - 1) * y ** (1 / TABLE_GAMMA)
    elif vendor.sigmoid:
        y = np.clip(y, 0.004, 0.996)  # a sigmoid never reaches its ends
        x = vendor.windows[0].centre - vendor.windows[0].width / 4 * np.log(1 / y - 1)
    else:
        x = vendor.windows[0].centre - 0.5 + (y - 0.5) * (vendor.windows[0].width - 1)
    low, high = 0, 2**vendor.bits - 1
    if vendor.padding is not None:
        low, high = (low, min(vendor.padding) - 1) if vendor.inverted else (max(vendor.padding) + 1, high)
    stored = np.clip(np.rint((x - vendor.intercept) / vendor.slope), low, high)
    return stored.astype(np.uint8 if vendor.bits <= 8 else np.uint16)


def stored_values(image: Array, vendor: Vendor) -> Array:
    """What the vendor stores of a rendering.

    Args:
        image: float32 [..., rows, columns] in [0, 1]; exactly 0 is air, which becomes padding where the vendor pads.
        vendor: who stores it.

    Returns:
        uint8 or uint16, same shape, below 2^bits.
    """
    stored = _stored_levels(vendor)[np.rint(image * (LEVELS - 1)).astype(np.intp)]
    if vendor.padding is not None:
        stored[image == 0] = vendor.padding[0]
    return stored


def raw_values(image: Array, vendor: Vendor) -> Array:
    """Detector counts of a rendering, for the for-processing twin: bright tissue absorbs, so its counts are low, and air saturates."""
    counts = (2**vendor.bits - 1) * np.exp(-2.5 * image)
    return np.rint(counts).astype(np.uint8 if vendor.bits <= 8 else np.uint16)


def dataset(shot: Shot, pixels: Array) -> Dataset:
    """The whole file: header, and pixels encoded in the vendor's transfer syntax.

    Args:
        shot: what the header says.
        pixels: stored values, [rows, columns] or [frames, rows, columns], uint8 or uint16.

    Returns:
        A data set that `write` saves. All elements are valid for their VR; the modules of PS3.3 A.26 are there but for the vendor's quirks.
    """
    vendor, person = shot.vendor, shot.person
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = list(shot.image_type or vendor.image_type)
    ds.SOPClassUID, ds.SOPInstanceUID = shot.sop_class, shot.sop_uid
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{kind}Date", person.study_date)
        setattr(ds, f"{kind}Time", person.study_time)
    ds.AccessionNumber = person.accession
    ds.Modality = shot.modality
    ds.Manufacturer, ds.ManufacturerModelName = vendor.manufacturer, vendor.model
    ds.InstitutionName = person.institution
    ds.ReferringPhysicianName = person.physician
    ds.StationName = f"MG{person.accession[-3:]}"
    ds.StudyDescription = "MAMMOGRAPHY SCREENING"
    ds.SeriesDescription = shot.description or " ".join(filter(None, (shot.laterality, shot.view)))
    ds.PatientName, ds.PatientID = person.name, person.patient_id
    ds.PatientBirthDate, ds.PatientSex = person.birth_date, "F"
    ds.PatientAge = f"{person.age:03d}Y"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = shot.study_uid, shot.series_uid
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = person.accession[-6:], shot.number, shot.number
    ds.DeviceSerialNumber = f"{len(vendor.model)}{person.accession[:4]}"
    ds.SoftwareVersions = "4.2"
    if shot.modality == "MG":
        _acquisition(ds, shot, pixels.shape[-2:])
        _view(ds, shot)
    _pixel_description(ds, shot, pixels)
    if shot.sop_class == FOR_PRESENTATION:
        _display(ds, vendor)
    _encode(ds, pixels, vendor)
    return ds


def write(path: Path, file: Dataset) -> None:
    """Save what `dataset` made; its folder must exist."""
    buffer = BytesIO()  # pydicom would wrap a full disk in an error without its number
    file.save_as(buffer, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _acquisition(ds: Dataset, shot: Shot, shape: tuple[int, ...]) -> None:
    """Series, detector, positioner and dose: what does not depend on the display."""
    rows, columns = shape
    ds.PresentationIntentType = "FOR PROCESSING" if shot.sop_class == FOR_PROCESSING else "FOR PRESENTATION"
    ds.BodyPartExamined = "BREAST"
    ds.KVP = "29"
    ds.DistanceSourceToDetector, ds.DistanceSourceToPatient = "660", "660"
    ds.EstimatedRadiographicMagnificationFactor = f"{shot.magnification:.2f}"
    ds.FieldOfViewShape = "RECTANGLE"
    ds.FieldOfViewDimensions = [round(rows * shot.pixel), round(columns * shot.pixel)]
    ds.ExposureTime, ds.XRayTubeCurrent, ds.Exposure = "1149", "62", "71"
    ds.ImagerPixelSpacing = [f"{shot.pixel:.8g}"] * 2
    ds.Grid = ["RECIPROCATING", "FOCUSED"]
    ds.FocalSpots = "0.1" if shot.magnification > 1 else "0.3"
    ds.AnodeTargetMaterial, ds.FilterMaterial = "RHODIUM", "RHODIUM"
    ds.BodyPartThickness, ds.CompressionForce = "58", "95"
    ds.PositionerType = "NONE" if shot.view == "SPECIMEN" else "MAMMOGRAPHIC"
    ds.PositionerPrimaryAngle = {"MLO": "45", "ML": "90"}.get(shot.view, "0")
    ds.DetectorType, ds.DetectorConfiguration = "SCINTILLATOR", "AREA"
    ds.DetectorActiveShape = "RECTANGLE"
    if shot.detector_mode:
        ds.DetectorMode = shot.detector_mode
    if shot.paddle:
        ds.PaddleDescription = shot.paddle
    ds.FieldOfViewOrigin, ds.FieldOfViewRotation, ds.FieldOfViewHorizontalFlip = ["0", "0"], "0", "NO"
    ds.ExposureControlMode, ds.ExposureStatus = "AUTOMATIC", "NORMAL"
    ds.OrganDose, ds.OrganExposed = "0.0125", "BREAST"
    ds.AcquisitionContextSequence = Sequence()


def _view(ds: Dataset, shot: Shot) -> None:
    """Breast module: side, view and its modifiers, implant."""
    vendor = shot.vendor
    ct = vendor.scheme == "SCT"
    ds.ImageLaterality = shot.laterality
    ds.PatientOrientation = ["P" if shot.laterality == "R" else "A", "L" if shot.view in ("CC", "XCCL") else "FL"]
    ds.AnatomicRegionSequence = Sequence([_code("76752008" if ct else "T-04000", vendor.scheme, "Breast")])
    if vendor.view_position and shot.view and shot.view != "SPECIMEN":
        ds.ViewPosition = shot.view
    if shot.view:
        view = _code(VIEW_CODES[shot.view][ct], vendor.scheme, VIEW_CODES[shot.view][2])
        modifiers = (MODIFIER_CODES[modifier] for modifier in shot.modifiers)
        view.ViewModifierCodeSequence = Sequence([_code(codes[ct], vendor.scheme, codes[2]) for codes in modifiers])
        ds.ViewCodeSequence = Sequence([view])
    else:
        ds.ViewCodeSequence = Sequence()
    if shot.implant or vendor.implant_tag:
        ds.BreastImplantPresent = shot.implant or "NO"
    ds.PartialView = "NO"


def _pixel_description(ds: Dataset, shot: Shot, pixels: Array) -> None:
    vendor = shot.vendor
    inverted = vendor.inverted and shot.sop_class == FOR_PRESENTATION
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    if pixels.ndim == 3:
        ds.NumberOfFrames = len(pixels)
        _functional_groups(ds, shot, len(pixels))
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = (8 if vendor.bits <= 8 else 16), vendor.bits, vendor.bits - 1
    ds.PixelRepresentation = 0
    burned_in = shot.burned_in or ("NO" if vendor.burned_in_tag else "")
    if burned_in:
        ds.BurnedInAnnotation = burned_in
    ds.LossyImageCompression = "00"
    ds.QualityControlImage = "NO"
    if shot.modality == "MG":
        ds.PixelIntensityRelationship = "LIN" if shot.sop_class == FOR_PROCESSING else "LOG"
        ds.PixelIntensityRelationshipSign = 1 if inverted or shot.sop_class == FOR_PROCESSING else -1


def _functional_groups(ds: Dataset, shot: Shot, frames: int) -> None:
    """The shared measures of a multi-frame image, and an empty group a frame."""
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [f"{shot.pixel:.8g}"] * 2, "1"
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([Dataset() for _ in range(frames)])


def _display(ds: Dataset, vendor: Vendor) -> None:
    """Padding, rescale, windows and tables."""
    if vendor.padding is not None:
        # the VR of both is US or SS by PixelRepresentation, which is 0
        ds.add_new("PixelPaddingValue", "US", vendor.padding[0])
        ds.add_new("PixelPaddingRangeLimit", "US", vendor.padding[1])
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = f"{vendor.intercept:g}", f"{vendor.slope:g}", "US"
    ds.PresentationLUTShape = "INVERSE" if vendor.inverted else "IDENTITY"
    if vendor.windows:
        several = len(vendor.windows) > 1
        centres, widths = [f"{window.centre:g}" for window in vendor.windows], [f"{window.width:g}" for window in vendor.windows]
        names = [window.name for window in vendor.windows]
        ds.WindowCenter, ds.WindowWidth = (centres, widths) if several else (centres[0], widths[0])
        ds.WindowCenterWidthExplanation = names if several else names[0]
        if vendor.sigmoid:
            ds.VOILUTFunction = "SIGMOID"
    if vendor.tables:
        ds.VOILUTSequence = Sequence(list(_tables(vendor)))


def _tables(vendor: Vendor) -> Iterator[Dataset]:
    """Look-up tables with 12-bit output: the sigmoid of each window, or the one curve of a vendor without windows."""
    if vendor.windows:
        for window in vendor.windows:
            first, size = int(window.centre - 1.6 * window.width), int(3.2 * window.width)
            first, size = max(first, 0), min(size, 2**vendor.bits - max(first, 0))
            x = first + np.arange(size)
            yield _table(first, 4095 / (1 + np.exp(-4 * (x - window.centre) / window.width)), window.name)
    else:
        yield _table(TABLE_FIRST, 4095 * (np.arange(TABLE_SIZE) / (TABLE_SIZE - 1)) ** TABLE_GAMMA, "STANDARD")


def _table(first: int, values: Array, name: str) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, 12])
    item.LUTExplanation = name
    item.add_new("LUTData", "OW", np.rint(values).astype("<u2").tobytes())
    return item


def _encode(ds: Dataset, pixels: Array, vendor: Vendor) -> None:
    """Pixel data and file meta information in the vendor's transfer syntax."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = UID(vendor.syntax)
    ds.file_meta.ImplementationClassUID, ds.file_meta.ImplementationVersionName = IMPLEMENTATION, "LOOKALIKE"
    if vendor.syntax in (JPEG2000Lossless, RLELossless):
        compress(ds, vendor.syntax, pixels, generate_instance_uid=False)
    elif vendor.syntax == JPEGLosslessSV1:
        frames = pixels if pixels.ndim == 3 else pixels[None]
        ds.add_new("PixelData", "OB", encapsulate([_jpeg_lossless(frame, vendor.bits) for frame in frames]))
        ds["PixelData"].is_undefined_length = True
    else:
        data = pixels.astype("<u2" if pixels.itemsize == 2 else "u1", copy=False).tobytes()
        ds.add_new("PixelData", "OW", data + b"\0" * (len(data) % 2))


def _jpeg_lossless(frame: Array, bits: int) -> bytes:
    """JPEG lossless, process 14, selection value 1, through GDCM: pydicom has no encoder for it."""
    import gdcm

    writer = gdcm.ImageWriter()  # owns the image: GDCM frees it with the writer
    image = writer.GetImage()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((frame.shape[1], frame.shape[0], 1))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, 0))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ImplicitVRLittleEndian))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(frame.astype("<u2", copy=False).tobytes())
    image.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(image)
    if not change.Change():
        raise RuntimeError("GDCM could not encode JPEG lossless")
    fragments = change.GetOutput().GetDataElement().GetSequenceOfFragments()
    return fragments.GetFragment(0).GetByteValue().GetBuffer().encode("utf-8", "surrogateescape")
