"""Named rules that take images out of the cohort, each with a reason.

Source: K21, Materials ("excluded images containing postoperative artifacts ... and large foreign bodies"); views CC and MLO. Which header facts
decide is our choice. What a header does not tell never excludes, except under the rule view_missing.

Details are published, and people write names into any field of a header: a detail prints numbers and words of a fixed list, never a header's own text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pandas as pd

from lookalike.cohort.header import KNOWN_VIEWS
from lookalike.config import Exclude
from lookalike.errors import LookalikeError

Rule = Callable[[pd.DataFrame, Exclude], pd.Series]

# Modalities of DICOM PS3.3, C.7.3.1.1.1, that turn up beside mammograms.
MODALITIES = (
    *("AU", "BI", "BMD", "CR", "CT", "DOC", "DX", "ECG", "ES", "GM", "HC", "IO", "IVUS", "KO", "MG", "MR", "NM", "OT", "PR", "PT", "PX"),
    *("REG", "RF", "RG", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "SC", "SEG", "SM", "SR", "TG", "US", "XA", "XC"),
)
CT_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
MR_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")
SEGMENTATION_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4",)
# The series of a breast MR exam that its patches are made of (H19: T2, T1 before and four times after contrast).
PHASES = ("t2", "pre", "post_1", "post_2", "post_3", "post_4")
MAMMOGRAPHY_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.1.2.1")
FOR_PROCESSING_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2.1"
TOMOSYNTHESIS_SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.13.1.3", "1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.13.1.5")
# Values of ImageType that say what an image was computed from. DERIVED itself says nothing: whole archives (CMMD) write it on plain mammograms.
DERIVED_TYPES = (
    "GENERATED_2D",
    "RECOMBINED",
    "HIGH_ENERGY",
    "SUBTRACTION",
    "SUBTRACTED",
    "CAD",
    "MIP",
    "MOSAIC",
    "STITCHED",
    "LOCALIZER",
    "THUMBNAIL",
    "CROP",
    "MASK",
)
DERIVED_SERIES = (
    r"\bc-?view\b|\bv-?preview\b|\bs-?view\b|\binsight ?2d\b|\b(?:intelligent|synthetic|synthesi[sz]ed|generated) ?2d\b|\bcropped\b|\broi mask\b"
)


def not_mammography(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Modality is not MG and the SOP class is not digital mammography; or the header says phantom (quality control). Rasters tell neither."""
    wrong = _is_other(index, "MG", MAMMOGRAPHY_SOP_CLASSES)
    phantom = index["body_part"].str.contains("PHANTOM")
    return _reasons(index, (wrong, "modality is " + _known(index["modality"], MODALITIES)), (phantom, "phantom or quality control image"))


def not_for_presentation(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """For-processing (raw) images; an unknown intent stays."""
    raw = (index["intent"] == "FOR PROCESSING") | (index["sop_class"] == FOR_PROCESSING_SOP_CLASS)
    return _reasons(index, (raw, "for processing, not for presentation"))


def tomosynthesis(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Tomosynthesis projections, slices and volumes, and anything of several frames; 2-D images generated from them are `derived`."""
    flat = _has_type(index, ["GENERATED_2D"])
    by_class = index["sop_class"].isin(TOMOSYNTHESIS_SOP_CLASSES) & ~flat
    by_type = index["image_type"].str.contains(r"(?:^|\\)TOMO") & ~flat
    by_name = index["series_description"].str.contains(r"tomo\w*\s*(?:reconstruction|projection|slice)", case=False) & ~flat
    frames = index["frames"] > 1
    return _reasons(
        index,
        (by_class, "tomosynthesis SOP class"),
        (by_type, "ImageType says tomosynthesis"),
        (by_name, "SeriesDescription says tomosynthesis"),
        (frames, index["frames"].astype(str) + " frames"),
    )


def stereotactic(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Stereotactic and biopsy images."""
    by_type = index["image_type"].str.contains(r"(?:^|\\)(?:STEREO|BIOPSY)")
    by_mode = index["detector_mode"].str.contains("STEREO|BIOPSY")
    by_paddle = index["paddle"].str.contains("STEREO|BIOPSY|LOCALI[SZ]")
    by_name = index["series_description"].str.contains(r"\bstereo|\bbiops", case=False)
    return _reasons(
        index,
        (by_type, "ImageType says stereotactic or biopsy"),
        (by_mode, "DetectorMode says stereotactic or biopsy"),
        (by_paddle, "PaddleDescription says biopsy"),
        (by_name, "SeriesDescription says stereotactic or biopsy"),
    )


def spot_or_magnification(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Spot compression and magnification views."""
    by_modifier = index["view_modifiers"].str.contains("spot|magnification")
    by_type = _has_type(index, ["SPOT", "MAG", "MAGNIFICATION", "MAGNIFIED"])
    by_view = index["view"].str.contains("^SPOT|^MAG")
    by_paddle = index["paddle"].str.contains(r"\bSPOT\b|\bMAG\b|MAGNIF")
    by_name = index["series_description"].str.contains(r"\bspot\b|\bmag\b|magnif", case=False)
    return _reasons(
        index,
        (by_modifier, "view modifier says spot compression or magnification"),
        (by_type, "ImageType says spot or magnification"),
        (by_view, "ViewPosition says spot or magnification"),
        (by_paddle, "PaddleDescription says spot or magnification"),
        (by_name, "SeriesDescription says spot or magnification"),
    )


def specimen(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Images of excised tissue."""
    by_view = index["view"] == "SPECIMEN"
    by_type = index["image_type"].str.contains("SPECIMEN") | index["body_part"].str.contains("SPECIMEN")
    by_name = index["series_description"].str.contains("specimen", case=False)
    return _reasons(index, (by_view, "view is a tissue specimen"), (by_type, "header says specimen"), (by_name, "SeriesDescription says specimen"))


def derived(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Images computed from others: generated 2-D, recombined, subtracted, CAD, crops and masks; the mere value DERIVED is none of them."""
    reason = pd.Series("", index=index.index)
    for value in reversed(DERIVED_TYPES):
        reason = reason.mask(_has_type(index, [value]), f"ImageType says {value}")
    by_name = index["series_description"].str.contains(DERIVED_SERIES, case=False)
    return _reasons(index, (reason != "", reason), (by_name, "SeriesDescription says generated, cropped or mask"))


def implant(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Breasts with an implant, by tag or table; unknown stays."""
    return _reasons(index, (index["implant"] == "YES", "an implant is present"))


def implant_displaced(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Implant-displaced views."""
    return _reasons(index, (index["view_modifiers"].str.contains("implant displaced", regex=False), "view modifier says implant displaced"))


def burned_in_tag(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Images whose header says that text is burned in."""
    return _reasons(index, (index["burned_in"] == "YES", "BurnedInAnnotation is YES"))


def view_missing(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Images of which neither header nor table tells the view."""
    return _reasons(index, (index["view"] == "", "neither header nor table tells the view"))


def view_not_wanted(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Views other than those of `exclude.views`."""
    return _reasons(index, ((index["view"] != "") & ~index["view"].isin(exclude.views), "view is " + _known(index["view"], KNOWN_VIEWS)))


def field_too_small(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """A field of view shorter than `minimum_field_mm`; where the spacing is unknown, a side below `minimum_side_px`."""
    side = index[["rows", "columns"]].min(axis=1)
    known = index["spacing_mm"].notna()
    in_mm = (index[["rows", "columns"]].mul(index["spacing_mm"], axis=0)).round().fillna(0).astype(int).astype(str)
    in_px = index[["rows", "columns"]].astype(str)
    return _reasons(
        index,
        (known & (side * index["spacing_mm"] < exclude.minimum_field_mm), "field of view is " + in_mm["rows"] + " x " + in_mm["columns"] + " mm"),
        (~known & (side < exclude.minimum_side_px), "image is " + in_px["rows"] + " x " + in_px["columns"] + " pixels"),
    )


def not_head_ct(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Modality is not CT and the SOP class is not CT. Rasters tell neither."""
    return _reasons(index, (_is_other(index, "CT", CT_SOP_CLASSES), "modality is " + _known(index["modality"], MODALITIES)))


def not_mr(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Neither MR nor a segmentation."""
    other = _is_other(index, "MR", MR_SOP_CLASSES) & _is_other(index, "SEG", SEGMENTATION_SOP_CLASSES)
    return _reasons(index, (other, "modality is " + _known(index["modality"], MODALITIES)))


def no_phase(index: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Series of an MR exam that no patch is made of (localisers, further T1 series, ...), and segmentations that no lesion names."""
    unused = ~index["phase"].isin([*PHASES, "mask"])
    return _reasons(
        index,
        (unused & (index["phase"] != ""), index["phase"] + " is not used"),
        (unused & (index["modality"] == "SEG"), "a segmentation that no lesion names"),
        (unused & index["sop_uid"].duplicated() & (index["sop_uid"] != ""), "same SOP Instance UID as a file before"),
        (unused, "a series of no phase that is used"),
    )


HEADER_RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        not_mammography,
        not_for_presentation,
        tomosynthesis,
        stereotactic,
        spot_or_magnification,
        specimen,
        derived,
        implant,
        implant_displaced,
        burned_in_tag,
        view_missing,
        view_not_wanted,
        field_too_small,
        not_head_ct,
        not_mr,
        no_phase,
    )
}


def blank(features: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Too little breast."""
    share = (100 * features["breast_fraction"]).round(1).astype(str)
    return _reasons(features, (features["breast_fraction"] < exclude.minimum_breast, share + " % of the image is breast"))


def constant(features: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Images without an image: all pixels have one value."""
    return _reasons(features, (features["constant"].astype(bool), "all pixels have the same value"))


def foreign_body(features: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Clips, devices, implants and markers that the detector sees."""
    kind = features["foreign_body_kind"].mask(features["foreign_body_kind"] == "", "foreign body")
    reason = kind + " detected (score " + features["foreign_body_score"].round(2).astype(str) + ")"
    return _reasons(features, (features["foreign_body_score"] >= exclude.foreign_body_score, reason))


def burned_in_pixels(features: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Text in the pixels."""
    return _reasons(features, (features["text_score"] >= 1, "text detected (score " + features["text_score"].round(2).astype(str) + ")"))


def duplicate_uid(features: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Further files with the SOP Instance UID of an image that came before, could be decoded and is kept.

    Decided after decoding: a copy that is cut off inside its compressed pixels has the same header as its intact twin, and must not stand for it.
    """
    again = (features["uid_group"] >= 0) & features["uid_group"].duplicated(keep="first")
    return _reasons(features, (again, "same SOP Instance UID as image " + features.groupby("uid_group")["image"].transform("first")))


def duplicate_pixels(features: pd.DataFrame, exclude: Exclude) -> pd.Series:
    """Pixels of an image that came before and is kept."""
    again = (features["pixel_hash"] != "") & features["pixel_hash"].duplicated(keep="first")
    return _reasons(features, (again, "same pixels as image " + features.groupby("pixel_hash")["image"].transform("first")))


PIXEL_RULES: dict[str, Rule] = {rule.__name__: rule for rule in (blank, constant, foreign_body, burned_in_pixels, duplicate_uid, duplicate_pixels)}

FEATURE_COLUMNS = ("row_id", "problem", "constant", "breast_fraction", "foreign_body_score", "foreign_body_kind", "text_score", "pixel_hash")


def apply_header_rules(index: pd.DataFrame, exclude: Exclude) -> pd.DataFrame:
    """Decisions on headers and tables: quarantined (unreadable), excluded (by the first rule that fits, in the order listed) or candidate.

    Returns:
        Columns row_id, image, uid_group, decision, rule, detail; rows as in `index`. `uid_group` is the row_id of the first row with the same
        SOP Instance UID, -1 where there is no UID: what `duplicate_uid` needs to know of UIDs, without a UID.
    """
    first = index.groupby("sop_uid")["row_id"].transform("first").where(index["sop_uid"] != "", -1).astype("int64")
    decisions = pd.DataFrame(
        {"row_id": index["row_id"], "image": index["image"], "uid_group": first, "decision": "candidate", "rule": "", "detail": ""}
    )
    unreadable = ~index["readable"]
    decisions.loc[unreadable, ["decision", "rule"]] = ["quarantined", "unreadable"]
    decisions.loc[unreadable, "detail"] = index.loc[unreadable, "problem"]
    _apply(decisions, index, [(name, HEADER_RULES[name]) for name in exclude.header_rules], exclude)
    return decisions


def apply_pixel_rules(decisions: pd.DataFrame, features: pd.DataFrame, exclude: Exclude, *, maximum_quarantined: float = 1.0) -> pd.DataFrame:
    """Final decisions: each candidate is kept, excluded by a rule of `PIXEL_RULES`, or quarantined as undecodable; all else stays as it is.

    Args:
        decisions: what `apply_header_rules` gave.
        features: `FEATURE_COLUMNS` and any others, one row a candidate in any order; `problem` is "" where the pixels were decoded.
        exclude: the cohort's rules.
        maximum_quarantined: largest fraction of all rows that may be quarantined.

    Raises:
        LookalikeError: features and candidates are not the same rows, or too many images are quarantined.
    """
    decisions = decisions.copy()
    candidates = decisions["decision"] == "candidate"
    wanted, there = set(decisions.loc[candidates, "row_id"]), features["row_id"]
    if there.duplicated().any() or set(there) != wanted:
        raise LookalikeError(
            f"{len(wanted)} images wait for decoding, but the features have {len(there)} rows, {len(wanted - set(there))} of the images missing",
            "pixel features",
            "Run the decoding of all parts of this cohort again.",
        )
    # In the order of the decisions, so that "came before" means the same as for headers.
    seen = (
        decisions.loc[candidates, ["row_id", "image", "uid_group"]]
        .reset_index()
        .merge(features[list(FEATURE_COLUMNS)], on="row_id", how="left")
        .set_index("index")
    )
    undecodable = seen.index[seen["problem"] != ""]
    decisions.loc[undecodable, ["decision", "rule"]] = ["quarantined", "undecodable"]
    decisions.loc[undecodable, "detail"] = seen.loc[undecodable, "problem"]
    quarantined = int((decisions["decision"] == "quarantined").sum())
    # Kinds of problems, not files: paths may name people.
    kinds = decisions.loc[decisions["decision"] == "quarantined", "detail"].str.split(":").str[0].value_counts().head(3)
    if quarantined > maximum_quarantined * len(decisions):
        raise LookalikeError(
            f"{quarantined} of {len(decisions)} files are unreadable or cannot be decoded, allowed are {maximum_quarantined:.1%}; "
            + "most often: "
            + "; ".join(f"{count} x {kind}" for kind, count in kinds.items()),
            "pixel features",
            "Install the decoder that is named, mend the files, or raise `source.maximum_quarantined`.",
        )
    _apply(decisions, seen.drop(index=undecodable), [(name, PIXEL_RULES[name]) for name in exclude.pixel_rules], exclude)
    return decisions.assign(decision=decisions["decision"].replace("candidate", "kept"))


def _apply(decisions: pd.DataFrame, facts: pd.DataFrame, rules: Sequence[tuple[str, Rule]], exclude: Exclude) -> None:
    """Enter the first rule that fits into the decisions of candidates; a rule sees only what all rules before it left."""
    for name, rule in rules:
        left = facts.loc[facts.index.intersection(decisions.index[decisions["decision"] == "candidate"], sort=False)]
        if left.empty:
            return  # a table without rows need not have the dtypes that rules compute with
        details = rule(left, exclude)
        fits = details.index[details != ""]
        decisions.loc[fits, ["decision", "rule"]] = ["excluded", name]
        decisions.loc[fits, "detail"] = details[fits]


def _reasons(rows: pd.DataFrame, *cases: tuple[pd.Series, pd.Series | str]) -> pd.Series:
    """The first fitting case's sentence, "" where none fits."""
    reason = pd.Series("", index=rows.index, dtype=object)
    for fits, sentence in reversed(cases):
        reason = reason.mask(fits, sentence)
    return reason


def _is_other(index: pd.DataFrame, modality: str, sop_classes: Sequence[str]) -> pd.Series:
    """Whether the header tells what the image is, and it is neither of this modality nor of these classes."""
    told = (index["modality"] != "") | (index["sop_class"] != "")
    return told & (index["modality"] != modality) & ~index["sop_class"].isin(sop_classes)


def _known(words: pd.Series, known: Sequence[str]) -> pd.Series:
    """Words as they may be published: those of the list as they are, all others unnamed."""
    return words.where(words.isin(known), "not one of the known ones").mask(words == "", "unknown")


def _has_type(index: pd.DataFrame, values: Sequence[str]) -> pd.Series:
    """Whether ImageType has one of these whole values."""
    return index["image_type"].str.contains(r"(?:^|\\)(?:" + "|".join(map(re.escape, values)) + r")(?:\\|$)")
