"""What must hold whatever the data: hypothesis draws them, and shows the smallest that break a promise."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom.dataset import Dataset

from lookalike import config
from lookalike.cohort import exclude as rules
from lookalike.cohort.exclude import apply_header_rules, apply_pixel_rules
from lookalike.cohort.index import INDEX_COLUMNS
from lookalike.cohort.ledger import COHORT_COLUMNS, cohort_table, flow_counts, public_ledger, reconcile
from lookalike.cohort.split import select_images, split_patients
from lookalike.config import Exclude
from lookalike.errors import LookalikeError
from lookalike.measures.coverage import REGIONS, Coverage, coverage
from lookalike.measures.label_mi import label_entropy, label_mi
from lookalike.measures.moments import histogram, moments_from_histogram
from lookalike.measures.pair_mi import normalised_mutual_information
from lookalike.pixels.display import StoredImage, display
from lookalike.pixels.store import ImageStore, write_part
from lookalike.training.loop import train_stage
from lookalike.training.state import load_state

settings.register_profile("lookalike", deadline=None, derandomize=True, max_examples=40, database=None)
settings.load_profile("lookalike")

SEEDS = st.integers(0, 2**32 - 1)

# Cohort ----------------------------------------------------------------------------------------------------------------------------------


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[pd.DataFrame, Exclude, pd.DataFrame]:
    """An index, rules in some order, and pixel features."""
    header: dict[str, Any] = {
        "sop_uid": ["", "1.1", "1.2", "1.3", "1.4"],
        "readable": [True, True, True, False],
        "modality": ["MG", "MG", "MG", "US", "CT", ""],
        "intent": ["", "FOR PRESENTATION", "FOR PROCESSING"],
        "image_type": [r"DERIVED\PRIMARY", "", r"DERIVED\PRIMARY\TOMO", r"DERIVED\PRIMARY\TOMO\GENERATED_2D", r"ORIGINAL\STEREO"],
        "view": ["CC", "MLO", "MLO", "ML", ""],
        "view_modifiers": ["", "", "implant displaced|magnification", "implant displaced"],
        "implant": ["", "NO", "YES"],
        "burned_in": ["", "NO", "YES"],
        "rows": [10, 300, 3000],
        "columns": [200, 300],
        "frames": [1, 1, 1, 5],
        "spacing_mm": [np.nan, 0.1, 0.5],
        "patient": ["p0", "p1", "p2", "p3", "p4"],
    }
    pixels: dict[str, Any] = {
        "problem": ["", "", "", "no decoder"],
        "constant": [False, False, False, True],
        "breast_fraction": [0.0, 0.04, 0.2],
        "foreign_body_score": [0.0, 0.9, 1.2],
        "text_score": [0.0, 0.9, 1.2],
        "pixel_hash": ["h0", "h1", "h2", "h3", "h4"],
    }
    choices = header | {f"pixel {name}": values for name, values in pixels.items()}
    files = draw(st.lists(st.tuples(*(st.sampled_from(values) for values in choices.values())), min_size=1, max_size=40))
    found = pd.DataFrame(files, columns=list(choices))
    numbered = {"row_id": range(len(files)), "image": [f"i{number}" for number in range(len(files))]}
    texts = {name: "" for name, column in INDEX_COLUMNS.items() if column.dtype == "str"}
    index = pd.DataFrame({**texts, "bits_stored": 12, "age": np.nan, "table_row": True, **found[list(header)], **numbered})
    index["problem"] = index["readable"].map({True: "", False: "file is empty"})
    features = found[[f"pixel {name}" for name in pixels]].set_axis(list(pixels), axis=1)
    features = features.assign(foreign_body_kind="clip", part=0, row=range(len(files)), row_id=range(len(files)))
    orders = [draw(st.lists(st.sampled_from(list(names)), unique=True)) for names in (rules.HEADER_RULES, config.PIXEL_RULES)]
    return index, Exclude(header_rules=tuple(orders[0]), pixel_rules=tuple(orders[1])), features


def decided_one_by_one(index: pd.DataFrame, exclude: Exclude, features: pd.DataFrame) -> list[tuple[str, str]]:
    """Decisions row by row and rule by rule, the slow way; duplicates by remembering what came this far."""
    registry = {**rules.HEADER_RULES, **rules.PIXEL_RULES}
    decided = [("quarantined", "unreadable") if not readable else ("", "") for readable in index["readable"]]
    for name in (*exclude.header_rules, "undecodable", *exclude.pixel_rules):
        seen: set[str] = set()
        for k, (decision, _) in enumerate(decided):
            if decision:
                continue
            if name == "undecodable":
                decided[k] = ("quarantined", name) if features["problem"][k] else decided[k]
            elif name in ("duplicate_uid", "duplicate_pixels"):
                value = index["sop_uid"][k] if name == "duplicate_uid" else features["pixel_hash"][k]
                if value and value in seen:
                    decided[k] = ("excluded", name)
                seen.add(value)
            else:
                row = (index if name in rules.HEADER_RULES else features).iloc[[k]]
                decided[k] = ("excluded", name) if registry[name](row, exclude).iloc[0] else decided[k]
    return [(decision or "kept", rule) for decision, rule in decided]


@given(cohorts())
def test_the_ledger_reconciles(cohort: tuple[pd.DataFrame, Exclude, pd.DataFrame]) -> None:
    index, exclude, features = cohort
    header = apply_header_rules(index, exclude)
    features = features[(header["decision"] == "candidate").to_numpy()]
    decisions = apply_pixel_rules(header, features, exclude)
    assert list(zip(decisions["decision"], decisions["rule"], strict=True)) == decided_one_by_one(index, exclude, features.reindex(index.index))
    counts = reconcile(index, decisions)
    flow = flow_counts(decisions, [*exclude.header_rules, *exclude.pixel_rules])
    assert flow.groupby("step")["removed"].sum().get("quarantine", 0) == counts["quarantined"]
    assert flow["removed"].sum() == counts["excluded"] + counts["quarantined"]
    assert (-flow["remaining"].diff().iloc[1:] == flow["removed"].iloc[1:]).all()
    assert flow["remaining"].iloc[0] == len(index) and flow["remaining"].iloc[-1] == counts["kept"]
    assert len(public_ledger(decisions)) == len(index)
    splits = split_patients(list(index["patient"]), train=0.6, validation=0.2, seed=1)
    if counts["kept"]:
        table = cohort_table(index, decisions, features, splits)
        assert list(table.columns) == list(COHORT_COLUMNS) and list(table["image"]) == list(index.loc[decisions["decision"] == "kept", "image"])
        assert (table["split"] == table["patient"].map(splits)).all() and table["row"].tolist() == [int(image[1:]) for image in table["image"]]
    else:
        with pytest.raises(LookalikeError, match=str(decisions["rule"].value_counts().index[0])):
            cohort_table(index, decisions, features, splits)


@given(
    strata=st.dictionaries(st.text(min_size=1, max_size=3), st.sampled_from(["", "B", "B|mass?"]), max_size=60),
    train=st.integers(0, 20),
    validation=st.integers(0, 20),
    stratified=st.booleans(),
    seed=SEEDS,
)
@example(strata={"alone": ""}, train=4, validation=4, stratified=False, seed=1)
@example(strata=dict.fromkeys("abcdefghij", ""), train=7, validation=6, stratified=False, seed=1)
def test_splits_are_disjoint_whole_and_as_large_as_asked_for(
    strata: dict[str, str], train: int, validation: int, stratified: bool, seed: int
) -> None:
    """Fractions in twentieths: floating-point sums of some of them fall short."""
    validation = min(validation, 20 - train)
    asked: dict[str, Any] = {"train": train / 20, "validation": validation / 20, "seed": seed, "strata": strata if stratified else None}
    patients = list(strata)
    splits = split_patients(patients * 2, **asked)
    assert splits == split_patients(patients[::-1], **asked) and set(splits) == set(patients)
    images = pd.DataFrame({"patient": patients * 2, "split": [splits[patient] for patient in patients * 2]})
    chosen: dict[Any, set[str]] = {}
    for split in ("train", "validation", "test"):
        if split in splits.values():
            chosen[split] = set(select_images(images, split=split, maximum=None, seed=0)["patient"])
    assert sum(map(len, chosen.values())) == len(patients)  # with the next line: nobody is in two
    assert set().union(*chosen.values()) == set(patients)
    trains = max((2 * train * len(patients) + 20) // 40, min(train, 1)) if patients else 0
    tests = len(patients) - max(trains, (2 * (train + validation) * len(patients) + 20) // 40)
    assert (len(chosen.get("train", ())), len(chosen.get("test", ()))) == (trains, tests)


# Pixels ----------------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.data(), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.sampled_from([8, 16]))
def test_every_level_of_the_pyramid_is_the_rounded_mean(data: st.DataObject, n: int, rows: int, columns: int, levels: int, bits: Any) -> None:
    top = (n, rows << levels - 1, columns << levels - 1)
    images = data.draw(arrays.arrays(np.float32, top, elements=st.floats(0, 1, width=32)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part-000.zarr"
        write_part(path, iter(images), n=n, base=(rows, columns), levels=levels, bits=bits)
        store = ImageStore(pd.DataFrame({"part": 0, "row": range(n)}), [path])
        stored = [store.level(level).load() for level in range(levels)]
    for level, found in enumerate(stored):
        side = 1 << levels - 1 - level
        means = images.astype(np.float64).reshape(n, rows << level, side, columns << level, side).mean(axis=(2, 4))
        assert np.abs(found - means * (2**bits - 1)).max() <= (0.5001 if bits == 8 else 0.51)  # float32 has 24 bits


def shown_by_the_standard(value: float, centre: float, width: float, function: str) -> float:
    """PS3.3, C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, with ymin 0 and ymax 1, as they are printed there."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (value - centre) / width))
    if function == "LINEAR_EXACT":
        if value <= centre - width / 2:
            return 0
        return 1 if value > centre + width / 2 else (value - centre) / width + 0.5
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0
    return 1 if value > centre - 0.5 + (width - 1) / 2 else (value - (centre - 0.5)) / (width - 1) + 0.5


@settings(max_examples=150)
@given(
    arrays.arrays(np.int16, st.integers(1, 20).map(lambda n: (1, n)), elements=st.integers(-2048, 2047)),
    st.integers(-9000, 9000).map(lambda quarters: quarters / 4),
    st.integers(4, 16000).map(lambda quarters: quarters / 4),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", None]),
    st.sampled_from([0.25, 1.0, 2.5, -1.0]),
    st.integers(-1100, 100),
    st.booleans(),
)
def test_windows_are_those_of_the_standard(
    values: np.ndarray, centre: float, width: float, function: str | None, slope: float, intercept: int, inverted: bool
) -> None:
    header = Dataset()
    header.WindowCenter, header.WindowWidth, header.RescaleSlope, header.RescaleIntercept = centre, width, slope, intercept
    header.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    if function:
        header.VOILUTFunction = function
    picture = display(StoredImage(values, np.zeros(values.shape, dtype=bool), 12, header, np.nan), window=0)
    expected = np.array([shown_by_the_standard(value * slope + intercept, centre, width, function or "LINEAR") for value in values[0].tolist()])
    assert picture.window == "window 0"
    np.testing.assert_allclose(picture.pixels[0], 1 - expected if inverted else expected, atol=1e-6)


# Measures --------------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(
    arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 255)), st.integers(1, 200), st.data()
)
def test_moments_follow_scale_and_shift(image: np.ndarray, scale: int, data: st.DataObject) -> None:
    shift, white = data.draw(st.integers(0, 65535 - 255 * scale)), 65535
    moved = (image * np.uint16(scale) + np.uint16(shift)).astype(np.uint16)
    for form in ("standardized", "central"):
        before, after, negative = (moments_from_histogram(histogram(pixels), bits=16, form=form) for pixels in (image, moved, white - moved))
        factors = np.array([scale, scale**2, *([1] * 3 if form == "standardized" else [scale**order for order in (3, 4, 5)])])
        # no moment is known better than to the rounding of numbers up to 1
        np.testing.assert_allclose(after, before * factors + np.array([shift / white, 0, 0, 0, 0]), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(negative, np.array([1, 0, 0, 0, 0]) + after * np.array([-1, 1, -1, 1, -1]), rtol=1e-8, atol=1e-9)


def point_sets(least: int) -> st.SearchStrategy[np.ndarray]:
    """Points [n, 2]: a few whole numbers, so that they tie, lie on lines and coincide, or normals of any scale."""
    whole = arrays.arrays(np.float64, st.integers(least, 12).map(lambda n: (n, 2)), elements=st.integers(-3, 3).map(float))
    normal = st.builds(
        lambda n, seed, scale: np.random.default_rng(seed).normal(size=(n, 2)) * scale, st.integers(least, 60), SEEDS, st.floats(1e-6, 1e6)
    )
    return whole | normal


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # one point has no spread
@given(point_sets(1), point_sets(1))
def test_coverage_is_a_share_or_nothing(real: np.ndarray, synthetic: np.ndarray) -> None:
    shares = coverage(real, synthetic, grid=40)
    assert all(np.isnan(share) or 0 <= share <= 1 for share in shares.values())
    if Coverage(real, synthetic, grid=40).reason:
        assert all(np.isnan(shares[definition]) for definition in REGIONS)


@given(point_sets(3))
def test_identical_sets_cover_one_another_wholly(points: np.ndarray) -> None:
    shares = coverage(points, points.copy(), grid=40)
    for definition in REGIONS:
        assert shares[definition] == 1 or Coverage(points, points, grid=40).reason


@given(
    st.lists(st.integers(-20, 20), min_size=5, max_size=40),
    st.lists(st.integers(-20, 20), min_size=5, max_size=40),
    st.floats(1e-3, 1e3),
    st.floats(-10, 10),
    st.booleans(),
)
def test_label_mi_has_no_unit(real: list[int], synthetic: list[int], scale: float, shift: float, falling: bool) -> None:
    """Up to straight lines the estimate itself stays, ties included; for other monotone transforms see the next test."""
    first, second = np.array(real, dtype=float), np.array(synthetic, dtype=float)
    scale = -scale if falling else scale
    before, after = label_mi(first, second), label_mi(scale * (first + shift), scale * (second + shift))
    assert after.neighbours_arithmetic == before.neighbours_arithmetic
    assert after.mi_unclipped == pytest.approx(before.mi_unclipped, abs=1e-12)
    assert 0 <= before.mi <= label_entropy(len(real), len(synthetic)) + 1e-12


@settings(max_examples=20)
@given(SEEDS, st.floats(0, 3), st.sampled_from([np.exp, np.arctan, np.cbrt, lambda x: x**3, lambda x: -np.sinh(x)]))
def test_label_mi_hardly_feels_a_monotone_transform(seed: int, shift: float, transform: Any) -> None:
    """Mutual information does not at all; an estimate from distances does, less than it would from other images (a spread of .02 for these)."""
    generator = np.random.default_rng(seed)
    real, synthetic = generator.normal(size=600), generator.normal(shift, 1, 600)
    assert label_mi(transform(real), transform(synthetic)).mi_unclipped == pytest.approx(label_mi(real, synthetic).mi_unclipped, abs=0.03)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60), st.lists(st.integers(1, 4), min_size=6, max_size=6))
def test_pair_mi_knows_levels_only_apart(pairs: list[tuple[int, int]], steps: list[int]) -> None:
    first, second = np.array(pairs).T[:, None, :]
    other = np.cumsum(steps)  # a rising transform of the levels
    before = normalised_mutual_information(first, second)
    assert 0 <= before[0] <= 1 + 1e-12
    for changed in (normalised_mutual_information(other[first], second), normalised_mutual_information(first, other[-1] - other[second])):
        np.testing.assert_allclose(changed, before, atol=1e-12)
    np.testing.assert_allclose(normalised_mutual_information(first, other[first]), 1.0, atol=1e-12)


# Training --------------------------------------------------------------------------------------------------------------------------------

STEPS = 8


class PowerCut(logging.Handler):
    """Ends the training where it reports the first image number of `at` or later; what it saved last is of the step before."""

    class Cut(Exception):
        """The training was ended."""

    def __init__(self, at: int) -> None:
        super().__init__(logging.INFO)
        self.at = at

    def emit(self, record: logging.LogRecord) -> None:
        if "images/s" in record.msg and isinstance(record.args, tuple) and 1000 * float(str(record.args[1])) >= self.at - 0.5:
            raise self.Cut


@settings(max_examples=6, phases=[Phase.generate])  # each trains for seconds: none of them to make an example smaller
@given(
    cuts=st.lists(st.integers(1, STEPS), min_size=1, max_size=3, unique=True).map(sorted),
    kind=st.sampled_from(["wgan_gp", "relativistic"]),
    critic_steps=st.integers(1, 2),
    seed=st.integers(0, 9),
)
def test_a_training_cut_at_any_step_ends_in_the_same_bytes(cuts: list[int], kind: str, critic_steps: int, seed: int) -> None:
    batch, images = 4, np.random.default_rng(seed).integers(0, 256, (10, 6, 4), dtype=np.uint8)
    stages = [{"channels": 4, "stable_kimg": 0.008, "batch": batch}, {"channels": 4, "fade_kimg": 0.012, "stable_kimg": 0.02, "batch": batch}]
    values: dict[str, Any] = {"cohort": "c", "latent": 3, "stages": stages, "device": "cpu", "seed": seed, "save_minutes": 1e-9}
    generator = config.Generator(**values, critic_steps=critic_steps, loss={"kind": kind})

    def train(folder: Path, stage: int) -> None:
        train_stage(
            generator=generator,
            stage=stage,
            base=(3, 2),
            images=images if stage else images[:, ::2, ::2],
            previous=folder / "stage0.safetensors" if stage else None,
            output=folder / f"stage{stage}.safetensors",
            digest="d" * 16,
            state_folder=folder / f"state{stage}",
            statistics=folder / f"stage{stage}.jsonl",
            threads=1,
        )

    logger = logging.getLogger("lookalike.training.loop")
    level = logger.level
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train(folder, 0)
        train(folder, 1)
        whole = [(folder / f"stage1.{suffix}").read_bytes() for suffix in ("safetensors", "json")]
        (folder / "state1/state.pt").unlink()
        (folder / "stage1.safetensors").unlink()
        logger.setLevel(logging.INFO)
        try:
            for step in cuts:
                logger.addHandler(cut := PowerCut(step * batch))
                with pytest.raises(PowerCut.Cut):
                    train(folder, 1)
                logger.removeHandler(cut)
                if step > 1:
                    saved = load_state(folder / "state1", "d" * 16)
                    assert saved is not None and (step - 1) * batch <= saved["nimg"] < (step + critic_steps - 1) * batch
        finally:
            logger.removeHandler(cut)
            logger.setLevel(level)
        train(folder, 1)
        assert [(folder / f"stage1.{suffix}").read_bytes() for suffix in ("safetensors", "json")] == whole
