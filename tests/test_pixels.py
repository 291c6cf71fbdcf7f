"""Display pipeline against pydicom's own transforms, geometry against brute force, and one part end to end."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid
from scipy import ndimage

from lookalike.cohort.exclude import apply_pixel_rules
from lookalike.config import Exclude, Kind, Pixels
from lookalike.pixels import display as display_module
from lookalike.pixels import geometry, prepare
from lookalike.pixels.display import UndecodableError, pixel_hash, read_display, read_stored
from lookalike.pixels.geometry import breast_mask, chest_wall_side, dilated, eroded, frame, normalise, resize_area
from lookalike.pixels.store import ImageStore

REAL = os.environ.get("LOOKALIKE_REAL_DATA")
needs_real = pytest.mark.skipif(REAL is None, reason="LOOKALIKE_REAL_DATA is not set: no real files to test on")
DIGITAL = Path(REAL or ".") / "mg-dicom"
FILM = Path(REAL or ".") / "mini-mias" / "images"


def write_dicom(
    path: Path, values: np.ndarray, *, bits: int | None = None, compress: str | None = None, syntax: str = ExplicitVRLittleEndian, **tags: object
) -> Path:
    little = syntax != ExplicitVRBigEndian
    header = FileDataset(path, {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=little)
    header.file_meta.TransferSyntaxUID = syntax
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    header.Modality, header.PhotometricInterpretation, header.SamplesPerPixel = "MG", "MONOCHROME2", 1
    header.Rows, header.Columns = values.shape[-2:]
    header.BitsAllocated = 8 * values.itemsize
    header.BitsStored = bits or header.BitsAllocated
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    header.PixelData = values.tobytes()
    header["PixelData"].VR = "OB" if values.itemsize == 1 else "OW"
    for name, value in tags.items():
        setattr(header, name, value)
    if compress:
        header.compress(compress)
    header.save_as(path)
    return path


def test_byte_order_changes_nothing(tmp_path: Path) -> None:
    values = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30)
    padding = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 30}
    little = write_dicom(tmp_path / "little.dcm", values, bits=12, **padding)
    big = write_dicom(tmp_path / "big.dcm", values.byteswap(), bits=12, syntax=ExplicitVRBigEndian, **padding)
    one, other = read_stored(little), read_stored(big)
    assert one.padding.sum() == 31 and pixel_hash(one) == pixel_hash(other)
    np.testing.assert_array_equal(one.padding, other.padding)
    np.testing.assert_array_equal(one.values, other.values)


def lut_item(entries: np.ndarray, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item


def ramp() -> np.ndarray:
    return np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def by_pydicom(path: Path, kind: str, number: int = 0) -> np.ndarray:
    """The picture as pydicom's transforms give it, in [0, 1]; MONOCHROME2 only."""
    header = pydicom.dcmread(path)
    values = apply_modality_lut(header.pixel_array, header)
    if kind == "lut":
        return apply_voi_lut(values, header, prefer_lut=True) / (2.0 ** header.VOILUTSequence[0].LUTDescriptor[2] - 1)
    shown = apply_windowing(values, header, number)
    ends = np.array([0, 2**header.BitsStored - 1]) - (2 ** (header.BitsStored - 1) if header.PixelRepresentation else 0)
    low, high = ends * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    return (shown - low) / (high - low)


# Display ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2.5, "RescaleIntercept": -1024}])
@pytest.mark.parametrize("number", [0, 1])
def test_windows_equal_pydicoms(tmp_path: Path, function: str, rescale: dict[str, float], number: int) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, WindowCenter=[1500, 2000.5], WindowWidth=[900, 31.5], VOILUTFunction=function, **rescale)
    shown = read_display(path, window=number)
    assert shown.window == f"window {number}"
    np.testing.assert_allclose(shown.pixels, by_pydicom(path, "window", number), atol=1e-6)


def test_signed_pixels_and_a_voi_lut_equal_pydicoms(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp().astype(np.int16) - 2048, bits=12, WindowCenter=-100, WindowWidth=700)
    np.testing.assert_allclose(read_display(path, window=0).pixels, by_pydicom(path, "window"), atol=1e-6)
    entries = (4095 * np.linspace(0, 1, 1000) ** 2).astype(np.uint16)
    path = write_dicom(tmp_path / "b.dcm", ramp(), bits=12, VOILUTSequence=[lut_item(entries, 700, 12)])
    shown = read_display(path, window="voi_lut")
    assert shown.window == "voi_lut"
    np.testing.assert_allclose(shown.pixels, by_pydicom(path, "lut"), atol=1e-6)


def test_a_modality_lut_comes_before_the_window(tmp_path: Path) -> None:
    entries = np.arange(4096, dtype=np.uint16)[::-1]
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, WindowCenter=2048, WindowWidth=4096, ModalityLUTSequence=[lut_item(entries, 0, 16)])
    np.testing.assert_allclose(read_display(path, window=0).pixels, (4095 - ramp()) / 4095, atol=1e-6)


def test_what_is_asked_for_falls_back_in_order(tmp_path: Path) -> None:
    window, lut = {"WindowCenter": 2000, "WindowWidth": 500}, {"VOILUTSequence": [lut_item(np.arange(4096), 0, 12)]}
    for tags, asked, used in [
        (window | lut, 0, "window 0"),
        (window | lut, "voi_lut", "voi_lut"),
        (window | lut, "min_max", "min_max"),
        (window | lut, 1, "voi_lut"),
        (window, "voi_lut", "window 0"),
        (lut, 0, "voi_lut"),
        ({}, 0, "min_max"),
        ({"WindowCenter": 2000, "WindowWidth": 0}, 0, "min_max"),
    ]:
        assert read_display(write_dicom(tmp_path / "a.dcm", ramp(), bits=12, **tags), window=asked).window == used
    eight = write_dicom(tmp_path / "a.dcm", (ramp() // 32).astype(np.uint8))
    assert read_display(eight, window=0).window == "full_range"
    assert read_display(eight, window="min_max").window == "min_max"


def test_padding_is_masked_before_the_window_and_black_after_inversion(tmp_path: Path) -> None:
    """PS3.3 C.7.5.1.1.2: value to limit, inclusive; for MONOCHROME1 the value is the upper end."""
    values = ramp()
    plain = read_display(write_dicom(tmp_path / "a.dcm", values, bits=12, PixelPaddingValue=0, PixelPaddingRangeLimit=30), window=0)
    np.testing.assert_array_equal(plain.padding, values <= 30)
    assert plain.pixels[values == 31].item() < 0.001  # without masking, min_max would start at 0
    inverse = read_display(
        write_dicom(
            tmp_path / "b.dcm",
            values,
            bits=12,
            PixelPaddingValue=4095,
            PixelPaddingRangeLimit=4000,
            PhotometricInterpretation="MONOCHROME1",
            PresentationLUTShape="INVERSE",
            WindowCenter=2048,
            WindowWidth=4096,
        ),
        window=0,
    )
    np.testing.assert_array_equal(inverse.padding, values >= 4000)
    expected = np.where(values >= 4000, 0, 1 - values / 4095)
    np.testing.assert_allclose(inverse.pixels, expected, atol=1e-6)


def test_a_padding_value_beyond_the_stored_bits_and_of_the_wrong_sign_is_found(tmp_path: Path) -> None:
    values = np.full((8, 8), 100, dtype=np.int16)
    values[:2] = -2000
    path = write_dicom(tmp_path / "a.dcm", values)
    header = pydicom.dcmread(path)
    header.add_new("PixelPaddingValue", "US", 63536)  # -2000 written as unsigned
    header.save_as(path)
    np.testing.assert_array_equal(read_stored(path).padding, values == -2000)
    wide = np.full((8, 8), 100, dtype=np.uint16)
    wide[:2], wide[2] = 65535, 4095  # saturated pixels are no padding
    stored = read_stored(write_dicom(tmp_path / "b.dcm", wide, bits=12, PixelPaddingValue=65535))
    np.testing.assert_array_equal(stored.padding, wide == 65535)


def test_bits_beyond_bits_stored_are_no_part_of_the_pixel(tmp_path: Path) -> None:
    values = ramp()
    overlaid = values | np.uint16(0xA000)
    np.testing.assert_array_equal(read_stored(write_dicom(tmp_path / "a.dcm", overlaid, bits=12)).values, values)
    # but a JPEG 2000 stream knows its own precision, and a header that contradicts it is what is wrong
    path = write_dicom(tmp_path / "b.dcm", overlaid, compress=JPEG2000Lossless)
    header = pydicom.dcmread(path)
    header.BitsStored, header.HighBit = 12, 11
    header.save_as(path)
    np.testing.assert_array_equal(read_stored(path).values, overlaid)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16"])
def test_rasters_of_every_kind(tmp_path: Path, mode: str) -> None:
    grey = (np.arange(256, dtype=np.uint8).reshape(16, 16)[::-1]).copy()
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    else:
        Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    shown = read_display(tmp_path / "a.png", window=0)
    assert shown.window == ("min_max" if mode == "I;16" else "full_range")
    np.testing.assert_allclose(shown.pixels, grey / 255, atol=0.002 if mode == "I;16" else 1e-6)


def test_the_hash_follows_the_pixels_and_not_the_file(tmp_path: Path) -> None:
    values = (ramp() // 16).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "a.bmp")
    write_dicom(tmp_path / "a.dcm", values.astype(np.uint16), bits=12, WindowCenter=100, WindowWidth=50)
    hashes = {pixel_hash(read_stored(tmp_path / name)) for name in ("a.png", "a.bmp", "a.dcm")}
    assert len(hashes) == 1
    assert all(len(text) == 32 for text in hashes)
    Image.fromarray(np.ascontiguousarray(values.reshape(32, 128))).save(tmp_path / "b.png")
    assert pixel_hash(read_stored(tmp_path / "b.png")) not in hashes


def test_broken_files_cost_a_sentence_without_identity(tmp_path: Path) -> None:
    folder = tmp_path / "SECRET^NAME"
    folder.mkdir()
    whole = write_dicom(folder / "whole.dcm", ramp(), bits=12, PatientName="SECRET^NAME", PatientID="SECRET")
    truncated = folder / "truncated.dcm"
    truncated.write_bytes(whole.read_bytes()[:-2000])
    huge = pydicom.dcmread(whole)
    huge.Rows = huge.Columns = 65535
    huge.save_as(folder / "huge.dcm")
    (folder / "text.dcm").write_text("SECRET^NAME")
    (folder / "text.png").write_text("SECRET^NAME")
    (folder / "empty.dcm").write_bytes(b"")
    frames = write_dicom(folder / "frames.dcm", np.stack([ramp()] * 2), NumberOfFrames=2)
    for path, words in [
        (truncated, "shorter than the header says"),
        (folder / "huge.dcm", "more than any mammogram"),
        (frames, "2 frames"),
        (folder / "text.dcm", "no image"),
        (folder / "text.png", "no image"),
        (folder / "empty.dcm", "no image"),
        (folder / "absent.dcm", "does not exist"),
    ]:
        with pytest.raises(UndecodableError, match=words) as caught:
            read_display(path, window=0)
        assert "SECRET" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


@needs_real
@pytest.mark.parametrize("name", ["GH133.dcm", "OutOfBoundsOverlay.dcm", "MG1_J2KI.dcm", "MG_Explicit_Little.dcm"])
def test_real_files_equal_pydicom(name: str) -> None:
    """GH133 has three windows with SIGMOID and three VOI LUTs; only its padding (two thirds of it) differs from pydicom, which knows none."""
    path = DIGITAL / name
    count = len(pydicom.dcmread(path).WindowWidth) if name == "GH133.dcm" else 1
    for number in range(count):
        shown = read_display(path, window=number)
        assert shown.window == f"window {number}"
        np.testing.assert_allclose(shown.pixels[~shown.padding], by_pydicom(path, "window", number)[~shown.padding], atol=1e-6)
    if name == "GH133.dcm":
        np.testing.assert_array_equal(shown.padding, pydicom.dcmread(path).pixel_array <= 30)
        assert shown.pixels[shown.padding].max() == 0
        lut = read_display(path, window="voi_lut")
        np.testing.assert_allclose(lut.pixels[~lut.padding], by_pydicom(path, "lut")[~lut.padding], atol=1e-6)


@needs_real
def test_real_broken_files_are_refused() -> None:
    with pytest.raises(UndecodableError, match="shorter"):
        read_display(DIGITAL / "GH1376.dcm", window=0)
    with pytest.raises(UndecodableError, match="compression"):
        read_display(DIGITAL / "MG1_JPLY.dcm", window=0)


# Head CTs --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scanner", ["plain", "wrapped", "signed"])
def test_head_cts_of_every_scanner_look_alike(tmp_path: Path, scanner: str) -> None:
    """Wrapped: negative values have 4096 added, are called unsigned and come with an intercept of 0."""
    hu = np.arange(-1000, 3000).reshape(40, 100)
    values, bits, intercept = {
        "plain": ((hu + 1024).astype(np.uint16), 12, -1024),
        "wrapped": ((hu % 4096).astype(np.uint16), 12, 0),
        "signed": (hu.astype(np.int16), 16, 0),
    }[scanner]
    tags = {"WindowCenter": ["00040", "00600"], "WindowWidth": ["00080", "02800"], "RescaleSlope": 1, "RescaleIntercept": intercept}
    path = write_dicom(tmp_path / "a.dcm", values, bits=bits, **tags)
    ends = np.quantile(hu, [0.001, 0.999])
    for window, used, low, high in [
        (0, "window 0", 0, 79),
        (1, "window 1", -800, 1999),
        ((80.0, 200.0), "window 80/200", -20, 179),
        ("min_max", "min_max", *ends),
    ]:
        shown = read_display(path, window=window, kind="head_ct")
        assert shown.window == used
        np.testing.assert_allclose(shown.pixels, np.clip((hu - low) / (high - low), 0, 1), atol=1e-6)
    # of no other kind is anything mended
    assert (np.abs(read_display(path, window=0).pixels - read_display(path, window=0, kind="head_ct").pixels).max() == 1) == (scanner == "wrapped")


def test_a_head_ct_without_a_window_gets_the_brains(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), bits=12, RescaleIntercept=-1024, RescaleSlope=1)
    shown = read_display(path, window=0, kind="head_ct")
    assert shown.window == "window 40/80" and read_display(path, window=0).window == "min_max"
    asked = read_display(path, window=(40.0, 80.0))
    np.testing.assert_array_equal(shown.pixels, asked.pixels)
    eight = write_dicom(tmp_path / "b.dcm", (ramp() // 32).astype(np.uint8))
    assert read_display(eight, window=0, kind="head_ct").window == "full_range"


# Geometry --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [(3, 2), (7, 5), (13, 11), (5, 20), (30, 23)])
def test_area_resize_is_the_mean_under_each_new_pixel(after: tuple[int, int]) -> None:
    before = (13, 11)
    image = np.random.default_rng(1).random(before, dtype=np.float32)
    # brute force: repeat every pixel so often that new pixels are whole blocks
    fine = image.repeat(after[0], axis=0).repeat(after[1], axis=1)
    expected = fine.reshape(after[0], before[0], after[1], before[1]).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_area(image, after), expected, atol=1e-6)


@pytest.mark.parametrize("after", [(70, 40), (203, 40), (256, 200)])
def test_bands_of_rows_change_no_bit(after: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    image, mask = rng.random((203, 151), dtype=np.float32), rng.random((41, 31)) > 0.4
    down, across = geometry._area_weights(203, after[0]), geometry._area_weights(151, after[1])
    np.testing.assert_array_equal(resize_area(image[:, ::-1], after), (across @ np.ascontiguousarray((down @ image[:, ::-1]).T)).T)
    down, across = geometry._linear_weights(41, after[0]), geometry._linear_weights(31, after[1])
    np.testing.assert_array_equal(geometry._enlarge(mask, after), down.toarray() @ mask @ across.toarray().T > 0.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_values_go_through_the_table_in_blocks(monkeypatch: pytest.MonkeyPatch, dtype: type) -> None:
    monkeypatch.setattr(display_module, "BLOCK", 7)
    values = np.random.default_rng(5).integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (30, 20), dtype=dtype, endpoint=True)[:, ::3]
    shown = display_module._map(values, lambda stored: np.sqrt(stored + 2**15).astype(np.float32))
    np.testing.assert_array_equal(shown, np.sqrt(values.astype(np.float64) + 2**15).astype(np.float32))


def phantom_film(shape: tuple[int, int] = (400, 300)) -> tuple[np.ndarray, np.ndarray]:
    """A breast on the right edge of a film with a grey base, 20 blank columns beyond it, a label and a strip of tape; and where it is."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    edge = shape[1] - 20
    distance = np.hypot((rows - 200) / 170, (columns - edge) / 180)
    breast = (distance < 1) & (columns < edge)
    picture = np.where(breast, 0.25 + 0.5 * np.sqrt(np.maximum(1 - distance, 0)), 0.05)
    picture[20:60, 40:80] = 0.95
    picture[:, :6] = 1.0
    picture[:, edge:] = 0
    return picture.astype(np.float32), breast


@pytest.mark.parametrize("flipped", [False, True])
def test_the_breast_is_found_and_nothing_else(flipped: bool) -> None:
    picture, breast = phantom_film()
    if flipped:
        picture, breast = picture[:, ::-1], breast[:, ::-1]
    mask = breast_mask(picture)
    assert (mask & breast).sum() > 0.97 * breast.sum()
    assert (mask & ~breast).sum() < 0.03 * breast.sum()
    assert chest_wall_side(mask) == ("left" if flipped else "right")


def test_normalising_flips_clears_and_pads() -> None:
    picture, breast = phantom_film()
    mask = breast_mask(picture)
    shown = normalise(picture, mask=mask, shape=(100, 80), chest_wall="left", background="zero")
    # scale 1/4: the breast starts at the left edge, although the film had blank columns there, and label and tape are gone
    scale = shown.sum() * 16 / (picture * breast).sum()
    assert 0.97 < scale < 1.03
    assert shown[50, 0] > 0.5
    assert shown[:, 50:].max() == 0
    kept = normalise(picture, mask=mask, shape=(100, 80), chest_wall="keep", background="keep")
    np.testing.assert_allclose(kept[:, 5:], resize_area(picture, (100, 75)), atol=1e-6)
    assert kept[:, :5].max() == 0
    tall = normalise(picture, mask=mask, shape=(200, 75), chest_wall="keep", background="keep")
    assert tall[:50].max() == tall[150:].max() == 0


@pytest.mark.parametrize("shape", [(40, 31), (1, 9), (3, 3)])
@pytest.mark.parametrize("steps", [1, 3, 12])
def test_masks_grow_and_shrink_as_scipys(shape: tuple[int, int], steps: int) -> None:
    for share in (0.02, 0.5, 0.98):
        mask = np.random.default_rng(steps).random(shape) < share
        before = mask.copy()
        np.testing.assert_array_equal(dilated(mask, steps), ndimage.binary_dilation(mask, iterations=steps))
        np.testing.assert_array_equal(eroded(mask, steps), ndimage.binary_erosion(mask, iterations=steps))
        np.testing.assert_array_equal(mask, before)


def test_blank_pictures_have_no_breast() -> None:
    blank = np.full((64, 48), 0.3, dtype=np.float32)
    mask = breast_mask(blank)
    assert not mask.any()
    assert normalise(blank, mask=mask, shape=(40, 32), chest_wall="left", background="zero").max() == 0


@needs_real
def test_real_films_face_the_side_that_their_number_says() -> None:
    """Even numbers are left breasts, with the chest wall on the left of the film (every tenth film here, and the two hardest)."""
    for number in [*range(1, 201, 10), *range(2, 201, 10), 151, 152]:
        shown = read_display(FILM / f"mdb{number:03d}.png", window=0)
        mask = breast_mask(shown.pixels)
        assert chest_wall_side(mask) == ("left" if number % 2 == 0 else "right"), number
        assert 0.1 < mask.mean() < 0.95


@pytest.mark.parametrize(("side", "left"), [("left", 0), ("middle", 20), ("right", 40)])
def test_a_frame_is_padded_or_filled(side: str, left: int) -> None:
    picture = np.random.default_rng(0).random((120, 60), dtype=np.float32) + 0.1
    padded = frame(picture, shape=(80, 80), side=side, fit="pad")
    np.testing.assert_array_equal(padded[:, left : left + 40], resize_area(picture, (80, 40)))
    assert (padded > 0).sum() == 80 * 40
    np.testing.assert_array_equal(frame(picture, shape=(80, 80), side=side, fit="stretch"), resize_area(picture, (80, 80)))


def test_a_breast_is_flipped_before_it_is_stretched() -> None:
    picture, _ = phantom_film()
    mask = breast_mask(picture)
    stretched = normalise(picture, mask=mask, shape=(100, 100), chest_wall="left", background="keep", fit="stretch")
    np.testing.assert_array_equal(stretched, resize_area(picture[:, ::-1], (100, 100)))


# A part ----------------------------------------------------------------------------------------------------------------------------------

SMALL = Pixels(base=(5, 4), levels=4, background="zero")


def candidates(paths: list[Path], root: Path) -> pd.DataFrame:
    return pd.DataFrame({"row_id": np.arange(len(paths)) + 10, "path": [str(path.relative_to(root)) for path in paths]})


def prepared(paths: list[Path], root: Path, output: Path, *, processes: int = 1, pixels: Pixels = SMALL, kind: Kind = "mammography") -> pd.DataFrame:
    return prepare.prepare_part(
        candidates(paths, root), root=root, part=3, pixels=pixels, kind=kind, output=output / "part-003.zarr", processes=processes
    )


def film_files(folder: Path, count: int) -> list[Path]:
    picture, _ = phantom_film()
    paths = []
    for number in range(count):
        paths.append(folder / f"{number}.png")
        Image.fromarray((255 * picture * (1 - 0.05 * number)).astype(np.uint8)).save(paths[-1])
    return paths


def test_a_part_keeps_order_and_quarantines_broken_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = film_files(tmp_path, 5)
    paths[2].write_bytes(b"no image")
    with caplog.at_level(logging.INFO, "lookalike"):
        table = prepared(paths, tmp_path, tmp_path / "one")
    assert "5 of 5 images" in caplog.text
    assert list(table["row_id"]) == [10, 11, 12, 13, 14]
    assert list(table["row"]) == [0, 1, -1, 2, 3]
    assert (table["part"] == 3).all()
    assert [bool(text) for text in table["problem"]] == [False, False, True, False, False]
    assert set(table["chest_wall"].drop(2)) == {"right"}
    assert table["text_score"].drop(2).eq(0).all()  # the label is cleared away
    kept = table[table["row"] >= 0]
    means = ImageStore(kept, [tmp_path / "one" / "part-003.zarr"]).level(3).load().mean(axis=(1, 2))
    assert (np.diff(means) < 0).all()  # each film is darker than the one before
    again = prepared(paths, tmp_path, tmp_path / "two", processes=2)
    pd.testing.assert_frame_equal(table, again)


def test_only_mammograms_are_searched_for_a_breast(tmp_path: Path) -> None:
    """Of other kinds nothing is known about breasts, no rule about them fits, and nothing is flipped, cleared or moved."""
    paths = film_files(tmp_path, 2)
    Image.new("L", (300, 400), 77).save(tmp_path / "flat.png")
    paths.append(tmp_path / "flat.png")
    table = prepared(paths, tmp_path, tmp_path, kind="chest_xray", pixels=Pixels(base=(5, 5), levels=4, fit="stretch"))
    assert table["breast_fraction"].isna().all() and table["foreign_body_score"].isna().all() and (table["chest_wall"] == "").all()
    assert list(table["constant"]) == [False, False, True] and table["pixel_hash"].is_unique
    stored = ImageStore(table, [tmp_path / "part-003.zarr"]).level(3).load()
    np.testing.assert_allclose(stored[0], 255 * resize_area(phantom_film()[0], (40, 40)), atol=1.5)
    decisions = pd.DataFrame({"row_id": table["row_id"], "image": list("abc"), "uid_group": -1, "decision": "candidate", "rule": "", "detail": ""})
    every = Exclude(pixel_rules=("blank", "foreign_body", "burned_in_pixels", "constant", "duplicate_pixels"))
    assert apply_pixel_rules(decisions, table, every)["rule"].tolist() == ["", "", "constant"]


def crash_on_one(path: Path) -> display_module.StoredImage:
    if path.name == "1.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return read_stored(path)


def test_a_crashing_decoder_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "read_stored", crash_on_one)  # workers are forked, so they have it too
    paths = film_files(tmp_path, 9)
    table = prepared(paths, tmp_path, tmp_path, processes=2)
    assert list(table["problem"]) == ["", "the decoder crashed", *[""] * 7]
    assert list(table["row"]) == [0, -1, 1, 2, 3, 4, 5, 6, 7]


@needs_real
def test_film_as_raster_and_as_dicom_are_stored_alike(tmp_path: Path) -> None:
    tags = [{}, {"WindowCenter": 128, "WindowWidth": 256}, {"WindowCenter": 127.5, "WindowWidth": 255, "VOILUTFunction": "LINEAR_EXACT"}]
    stores = []
    rasters = [FILM / f"mdb{number:03d}.png" for number in (1, 2, 137)]
    for number, wrapped in enumerate([None, *tags]):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths = (
            rasters if wrapped is None else [write_dicom(folder / f"{path.stem}.dcm", np.asarray(Image.open(path)), **wrapped) for path in rasters]
        )
        table = prepared(paths, FILM if wrapped is None else folder, folder, pixels=Pixels(levels=7, background="zero"))
        stores.append((table.drop(columns="window"), ImageStore(table, [folder / "part-003.zarr"]).level(6).load()))
    for table, images in stores[1:]:
        pd.testing.assert_frame_equal(table, stores[0][0])
        np.testing.assert_array_equal(images, stores[0][1])
