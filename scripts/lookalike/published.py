"""The values that papers print, how far they agree with one another, and how ours compare with them.

Nothing is called reproduced by default: demo data are never comparable, an unknown definition is never comparable, and a value of ours must be near the
printed one and have it inside its interval before the word is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy import stats

from lookalike.errors import LookalikeError
from lookalike.measures.frechet import INCEPTION
from lookalike.measures.label_mi import digamma_constant, inverse_digamma
from lookalike.statistics import clopper_pearson_interval
from lookalike.utility.benchmark import ENOUGH, HIGHEST
from lookalike.utility.patches import encoder_of

REPRODUCED = "reproduced"
WITHIN = "within tolerance"
DIFFERS = "differs"
NOT_COMPARABLE = "not comparable"
CONSISTENT = "consistent"
INCONSISTENT = "inconsistent"
STATUSES = (REPRODUCED, WITHIN, DIFFERS, NOT_COMPARABLE)
"""What a value of ours can be beside a printed one."""
CHECK_STATUSES = (CONSISTENT, INCONSISTENT)
"""What a printed value can be beside other printed values; ours take no part."""
COLUMNS = (
    "id",
    "paper",
    "item",
    "cell",
    "rule",
    "file",
    "published",
    "ours",
    "low",
    "high",
    "matched",
    "ceiling",
    "ratio",
    "difference",
    "status",
    "reason",
)
NUMBERS = COLUMNS[6:14]
"""Columns of numbers, empty where there is none."""
CHECKS = "checks"
READER_MEASURES = frozenset(
    {"conover", "accuracy", "kruskal_questions", "chi_square", "kruskal_groups", "readers", "attempts", "best_attempt", "artefact_share"}
    | {"reader_accuracy", "reader_sd", "reader_p", "reader_share"}
)
"""Measures that answers of readers give."""
DEMO_REASON = "Demo: data or scale do not allow a comparison ({section}.status)."

Id = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Section):
    """One printed value."""

    id: Id
    cell: str
    value: float
    n: int | None = None
    sd: float | None = None
    unit: str | None = None
    decimals: int | None = None
    note: str = ""
    never: str = ""
    measure: str | None = None
    definition: str | None = None
    first: str = ""
    second: str = ""
    aggregate: Literal["min", "max"] | None = None
    below: bool = False
    """Printed as `< value`."""
    height: int | None = None
    width: int | None = None


class Item(_Section):
    """A table, a figure or a passage."""

    title: str
    rule: str = ""
    file: str = ""
    unit: str = ""
    decimals: int | None = None
    measure: str | None = None
    definition: str | None = None
    never: str = ""
    missing: str = ""
    note: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    """What a table's columns count, by the measure that answers them (`setting_<column>`)."""
    settings: dict[str, dict[str, tuple[int | None, ...]]] = Field(default_factory=dict)
    """A table by benchmark and setting: a number a column, null where none is printed. Each becomes a value of its own."""
    values: tuple[Value, ...]

    @model_validator(mode="before")
    @classmethod
    def _cells_are_values(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or "settings" not in raw:
            return raw
        values = [
            {
                "id": f"{benchmark}_{setting}_{column}",
                "cell": f"{benchmark}, {setting.replace('_', ' ')}: {words}",
                "value": number,
                "measure": f"setting_{column}",
                "first": benchmark,
                "second": setting,
            }
            for benchmark, settings in raw["settings"].items()
            for setting, numbers in settings.items()
            for (column, words), number in zip(raw["columns"].items(), numbers, strict=True)
            if number is not None
        ]
        return {**raw, "values": values}

    @model_validator(mode="after")
    def _printed_exactly(self) -> Item:
        for value in self.values:
            decimals = value.decimals if value.decimals is not None else self.decimals
            if decimals is None:
                raise ValueError(f"{value.id} has no decimals")
            if abs(round(value.value, decimals) - value.value) > 1e-12:
                raise ValueError(f"{value.id} has more than {decimals} decimals")
        return self


class Published(_Section):
    """A paper's printed values."""

    section: Literal["korkinof2021", "dumont2021", "haarburger2019"]
    """Config section of the paper's study."""
    paper: str
    citation: str
    reconstructed_successes: tuple[int, ...] = ()
    items: dict[Id, Item]

    @model_validator(mode="after")
    def _ids_differ(self) -> Published:
        ids = [value.id for item in self.items.values() for value in item.values]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise ValueError(f"ids are used twice: {', '.join(doubled)}")
        return self

    def value(self, name: str) -> Value:
        """A value by its id."""
        return next(value for item in self.items.values() for value in item.values if value.id == name)

    def decimals(self, name: str) -> int:
        """Decimals with which a value is printed; 3 for anything else, checks and items without values."""
        for item in self.items.values():
            for value in item.values:
                if value.id == name:
                    return value.decimals if value.decimals is not None else item.decimals or 0
        return 3


def load(path: Path) -> Published:
    """Read and check a file of printed values.

    Raises:
        LookalikeError: the file is not YAML, or a key is unknown, missing or wrong.
    """
    try:
        return Published.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise LookalikeError("The printed values are not YAML", str(path), str(error).splitlines()[0]) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise LookalikeError(
            f"The printed values are wrong: {first['msg']}", f"{path}: {'.'.join(map(str, first['loc']))}", "Correct that key."
        ) from None


def resolutions(published: Published) -> pd.DataFrame:
    """Image sizes of the generators in Figure 5: model, height, width."""
    rows = [{"model": value.cell, "height": value.height, "width": value.width} for value in published.items["figure5"].values]
    return pd.DataFrame(rows)


def compare(
    published: Published,
    ours: pd.DataFrame,
    *,
    status: Literal["demo", "study"],
    tolerance: float,
    synthetic: str,
    definitions: Mapping[str, str],
    unlike: Mapping[str, str] | None = None,
    readers: str = "NAME",
    artefacts: str = "NAME",
) -> pd.DataFrame:
    """Every printed value beside ours, and every check of the printed values among themselves.

    A value of ours is `reproduced` when it is within the tolerance and its 95 % interval holds the printed value, `within tolerance` when only the first is true,
    and `differs` otherwise. The tolerance is relative to the printed value, and never smaller than half a unit of its last printed decimal.

    `ours` is from all images and `ceiling` from halves of the real ones: `matched`, at the ceiling's number of images, stands between them, and `ratio` is
    `matched` over `ceiling`.

    Args:
        published: printed values.
        ours: the comparison tables of all measures, one below the other: measure, definition, first, second, value, low, high, matched,
            ceiling, ratio.
        status: `demo` = nothing is comparable.
        tolerance: relative difference.
        synthetic: name of the synthetic set, for the file names.
        definitions: definition of a measure to show where the printed value does not name one.
        unlike: why values are not comparable with ours, by id (D21: `unlike_study`; H19: `unlike_patches`).
        readers, artefacts: names of K21's reader studies, for the file names.

    Returns:
        One row a value, one an item without values, one a check; columns COLUMNS. For checks `ours` is what other printed values imply.
    """
    rows = []
    demo = DEMO_REASON.format(section=published.section) if status == "demo" else ""
    for name, item in published.items.items():
        place = {
            "paper": published.paper,
            "item": name,
            "rule": item.rule,
            "file": item.file.format(synthetic=synthetic, readers=readers, artefacts=artefacts),
        }
        if not item.values:
            reason = item.missing or _joined(demo, item.never)
            rows.append({**place, "id": name, "cell": "", "published": math.nan, **_EMPTY, "status": NOT_COMPARABLE, "reason": reason})
        for value in item.values:
            mine = _ours(ours, item, value, definitions)
            absent = item.missing if math.isnan(mine["ours"]) else ""
            blocked = absent or _joined(demo, item.never, value.never) or (unlike or {}).get(value.id, "")
            decimals = published.decimals(value.id)
            allowed = max(tolerance * abs(value.value), 0.5 * 10.0**-decimals)
            verdict = (NOT_COMPARABLE, blocked) if blocked else _verdict(value.value, mine, allowed, below=value.below)
            row = {**place, "id": value.id, "cell": value.cell, "published": value.value, **mine}
            rows.append({**row, "status": verdict[0], "reason": _joined(verdict[1], value.note)})
    for row in checks(published):
        rows.append({"paper": published.paper, "item": CHECKS, "rule": "compare_published", "file": "results/comparison.csv", **row})
    frame = pd.DataFrame(rows)
    frame["difference"] = frame["ours"] - frame["published"]
    return frame[list(COLUMNS)]


def unlike_study(published: Published, settings: pd.DataFrame, runs: pd.DataFrame) -> dict[str, str]:
    """Why values of D21 are not comparable with ours: the first of what our study lacks or does in another way, by the value's id; a value without is left out.

    A count of a setting needs the printed resolution. A mean, a test, a convergence and a pool need every printed setting that they are about, with the
    printed resolution, classes and images a class; all but pools also the printed repetitions, and classifiers that began from ImageNet's weights.

    Args:
        published: D21's printed values.
        settings: a row a setting: benchmark, setting, resolution, classes, smallest, largest.
        runs: a row a run: benchmark, setting, generator, seed, backbone.
    """
    plans = settings.set_index(["benchmark", "setting"]).to_dict("index")
    reasons = {}
    for item in published.items.values():
        for value in item.values:
            measure = value.measure or item.measure or ""
            if measure.startswith("setting_"):
                reasons[value.id] = _other_side(plans, [(value.first, value.second)])
            elif places := _places(published, value, measure):
                own = runs[runs["generator"] == value.second] if measure in ("mean_gap", "sd_gap") else runs
                reasons[value.id] = _unlike(published, places, plans, None if measure.startswith("pool_") else own)
    return {name: reason for name, reason in reasons.items() if reason}


def _side(setting: str) -> int:
    """Printed resolution: classes and samples vary at 32 x 32."""
    dimension, number = setting.split("_")
    return int(number) if dimension == "resolution" else 32


def _places(published: Published, value: Value, measure: str) -> list[tuple[str, str]]:
    """Printed settings (benchmark, setting) that a value other than a setting's own count is about; none: nothing of ours answers it."""
    table = published.items["dumont2021_table1"].settings
    # listed, but never run
    places = [(benchmark, setting) for benchmark in table for setting in table[benchmark] if (benchmark, setting) != ("brain", "resolution_512")]
    if measure == "convergence":
        dimension, _, which = value.first.partition("_")
        return [
            place
            for place in places
            if place[1] == value.first
            or (place[1].startswith(f"{dimension}_") and dimension != "resolution" and which in ("", "many" if _number(place) >= ENOUGH else "few"))
        ]
    own = [place for place in places if place[0] == value.first]
    if measure in ("mean_gap", "sd_gap"):
        return [place for place in own if _side(place[1]) <= HIGHEST]
    if measure.startswith("pool_"):
        return [place for place in own if place[1].startswith("resolution_") and _side(place[1]) <= HIGHEST]
    if measure == "gap_p":
        varied = [place for place in own if place[1].startswith(f"{value.definition}_")]
        return [max(varied, key=_number), min(varied, key=_number)]
    return []


def _number(place: tuple[str, str]) -> int:
    return int(place[1].split("_")[1])


def _other_side(plans: Mapping[Any, Mapping[Any, Any]], places: Iterable[tuple[str, str]]) -> str:
    for place in places:
        if place in plans and plans[place]["resolution"] != _side(place[1]):
            return f"{' '.join(place).replace('_', ' ')}: resolution {plans[place]['resolution']} instead of {_side(place[1])}."
    return ""


def _unlike(published: Published, places: Sequence[tuple[str, str]], plans: Mapping[Any, Mapping[Any, Any]], runs: pd.DataFrame | None) -> str:
    ran = set(plans) if runs is None else set(plans) & set(zip(runs["benchmark"], runs["setting"], strict=True))
    missing = len([place for place in places if place not in ran])
    if missing:
        return f"{len(places) - missing} of {len(places)} printed settings that this value is about ran."
    if reason := _other_side(plans, places):
        return reason
    table = published.items["dumont2021_table1"]
    for place in places:
        benchmark, setting = place
        printed = dict(zip(table.columns, table.settings[benchmark][setting], strict=True))
        name = f"{benchmark} {setting.replace('_', ' ')}"
        if plans[place]["classes"] != printed["classes"]:
            return f"{name}: {plans[place]['classes']} classes instead of {printed['classes']}."
        # where a range is printed, all images are used and their numbers follow from the split
        if printed["largest"] is None and {plans[place]["smallest"], plans[place]["largest"]} != {printed["smallest"]}:
            return f"{name}: {plans[place]['smallest']:,} to {plans[place]['largest']:,} training images a class instead of {printed['smallest']:,}."
        if runs is not None:
            own = runs[(runs["benchmark"] == benchmark) & (runs["setting"] == setting)]
            seeds, least = int(own.groupby("generator")["seed"].nunique().min()), _repetitions(published, place)
            if seeds < least:
                return f"{name}: {seeds} repetition{'s' * (seeds > 1)} instead of {least}."
    if runs is not None and (runs["backbone"] == "random").any():
        return "Classifiers began from random weights, D21's from ImageNet's."
    return ""


def _repetitions(published: Published, place: tuple[str, str]) -> int:
    """Printed repetitions of a setting: more where it is tested, fewer at 512 x 512."""
    if _side(place[1]) == 512:
        return int(published.value("seeds_512").value)
    tests = [value for item in published.items.values() for value in item.values if value.measure == "gap_p"]
    return max([int(published.value("seeds").value), *(test.n or 0 for test in tests if place in _places(published, test, "gap_p"))])


def unlike_patches(published: Published, classes: pd.DataFrame) -> dict[str, str]:
    """Why distances and 1-NN accuracies of H19 are not comparable with ours: other features than Inception's, or another number of images. By the value's id; a
    value without is left out.

    Args:
        published: H19's printed values.
        classes: a row a generator, class, measure and features: generator, class, measure, name, features, n_real, n_synthetic.
    """
    own = classes[classes["features"] == encoder_of(classes)]
    rows = {(row["measure"], row["class"], row["generator"]): row for row in own.to_dict("records")}
    reasons = {}
    for value in published.items["haarburger2019_table2"].values:
        row = rows.get((value.measure, value.first, value.second))
        if row is None:
            continue
        sizes = int(row["n_real"]), int(row["n_synthetic"])
        if row["features"] != INCEPTION:
            reasons[value.id] = f"Ours is the {row['name']}, in features of the {row['features']}; H19's features are those of Inception."
        elif sizes != (value.n, value.n):
            reasons[value.id] = f"{sizes[0]:,} real and {sizes[1]:,} synthetic images instead of {value.n:,} of each."
    return reasons


def reader_measures(results: pd.DataFrame, conover: pd.DataFrame) -> pd.DataFrame:
    """What a study of pairs, or of artefacts, says of K21's printed values, in the form of a measures table.

    Args:
        results, conover: as `readers.analysis.analyse` and `compare_questions` give them.
    """
    questions = conover.rename(columns={"p": "value"}).assign(measure="conover", **{side: conover[side].astype(str) for side in ("first", "second")})
    return _as_measures(results.rename(columns={"group": "first"}), questions)


def study_reader_measures(studies: Mapping[str, tuple[str, str, pd.DataFrame]]) -> pd.DataFrame:
    """The same for D21's printed values.

    Args:
        studies: by name, the benchmark and setting whose images were shown, and the results.
    """
    kinds = {("accuracy", "readers"): "reader_accuracy", ("accuracy_sd", "attempts"): "reader_sd", ("wilcoxon", "less"): "reader_p"}
    frames = [_as_measures(pd.DataFrame({"measure": []}))]
    for benchmark, setting, results in studies.values():
        own = results[results["group"] == "all"]
        named = own.assign(
            measure=[kinds.get(key, "") for key in zip(own["measure"], own["definition"], strict=True)], first=benchmark, second=setting
        )
        frames.append(_as_measures(named[named["measure"] != ""]))
    return pd.concat(frames, ignore_index=True)


def patch_reader_measures(readers: pd.DataFrame) -> pd.DataFrame:
    """The same for H19's Table 3: percent right of radiologists and of others, on real patches and those of each generator, in first attempts. The interval is exact
    of one reader; of several there is none, as H19 has one of each kind.

    Args:
        readers: as `readers.analysis.tabulate_readers` gives them.
    """
    rows = []
    own = readers[(readers["complete"] == 1) & (readers["attempt"] == 1) & (readers["set"] != "all")]
    for answer, kind in (("yes", "radiologist"), ("no", "layperson")):
        said = own[own["group_radiologist"] == answer] if "group_radiologist" in own else own.iloc[:0]
        for name, counts in said.groupby("set"):
            right, n = int(counts["right"].sum()), int(counts["n"].sum())
            low, high = clopper_pearson_interval(right, n) if len(counts) == 1 else (math.nan, math.nan)
            row = {"first": kind, "second": str(name).split("/")[-1], "value": 100 * right / n, "low": 100 * low, "high": 100 * high}
            rows.append({"measure": "reader_share", **row})
    return _as_measures(pd.DataFrame(rows))


def _as_measures(*frames: pd.DataFrame) -> pd.DataFrame:
    texts = ["measure", "definition", "first", "second"]
    together = pd.concat(frames, ignore_index=True).reindex(columns=[*texts, "value", *_STATISTICS])
    return together.fillna(dict.fromkeys(texts, ""))


def reader_answers(published: Published) -> pd.DataFrame:
    """H19's readers' answers, recovered: the only counts that round to the shares printed in Table 3. Columns reader, set (real, or the generator), right and n.

    Raises:
        LookalikeError: not exactly one count rounds to a printed share.
    """
    values = published.items["haarburger2019_table3"].values
    rows = [(value.first, value.second, _count(value, _attempts(value), unit=100, half=0.05), _attempts(value)) for value in values]
    return pd.DataFrame(rows, columns=["reader", "set", "right", "n"])


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


_STATISTICS = ("low", "high", "matched", "ceiling", "ratio")
_EMPTY = dict.fromkeys(("ours", *_STATISTICS), math.nan)


def _ours(ours: pd.DataFrame, item: Item, value: Value, definitions: Mapping[str, str]) -> dict[str, float]:
    measure = value.measure or item.measure
    if measure is None:
        return dict(_EMPTY)
    rows = ours[ours["measure"] == measure]
    definition = value.definition or item.definition or definitions.get(measure)
    if definition is not None:
        rows = rows[rows["definition"] == definition]
    for column in ("first", "second"):
        if getattr(value, column):
            rows = rows[rows[column] == getattr(value, column)]
    rows = rows.dropna(subset="value")
    if value.aggregate:
        # the row whose own value is the extreme one, with its own interval
        rows = rows.sort_values("value", ascending=value.aggregate == "min").head(1)
    if len(rows) > 1:
        raise LookalikeError(
            f"{len(rows)} rows answer the printed value {value.id}", "measures tables", "Name its definition in the file of printed values."
        )
    if rows.empty:
        return dict(_EMPTY)
    row = rows.iloc[0]
    return {"ours": float(row["value"]), **{name: float(row[name]) for name in _STATISTICS}}


def _verdict(printed: float, mine: Mapping[str, float], allowed: float, *, below: bool) -> tuple[str, str]:
    if math.isnan(mine["ours"]):
        return NOT_COMPARABLE, "No value of ours answers this one."
    if below:
        return (REPRODUCED, "Below the printed bound.") if mine["ours"] < printed else (DIFFERS, "Not below the printed bound.")
    near = abs(mine["ours"] - printed) <= allowed * (1 + 1e-9)
    inside = mine["low"] <= printed <= mine["high"]
    if math.isnan(mine["low"]) or math.isnan(mine["high"]):
        return (WITHIN, "Within the tolerance; ours has no interval.") if near else (DIFFERS, "Outside the tolerance; ours has no interval.")
    if near:
        return (
            (REPRODUCED, "Within the tolerance, and inside our interval.") if inside else (WITHIN, "Within the tolerance, but outside our interval.")
        )
    return DIFFERS, "Outside the tolerance, but inside our interval: too uncertain to tell." if inside else "Outside the tolerance and our interval."


def checks(published: Published) -> list[dict[str, object]]:
    """What printed values imply about other printed values: rows with id, cell, published, ours (the implied value), status and reason."""
    rows = []

    def check(name: str, cell: str, printed: float, implied: float, decimals: int, reason: str) -> None:
        agrees = abs(implied - printed) <= 0.5 * 10.0**-decimals + 1e-9
        row = {"id": f"check_{name}", "cell": cell, "published": printed, **_EMPTY, "ours": implied}
        rows.append({**row, "status": CONSISTENT if agrees else INCONSISTENT, "reason": reason})

    studies = {"korkinof2021": _check_korkinof2021, "dumont2021": _check_dumont2021, "haarburger2019": _check_haarburger2019}
    studies[published.section](published, check)
    return [*rows, *(_correlations(published) if published.section == "haarburger2019" else [])]


def _check_korkinof2021(published: Published, check: Callable[[str, str, float, float, int, str], None]) -> None:
    value = published.value
    for moment in ("m1", "m2", "m3", "m4", "m5"):
        implied = inverse_digamma(digamma_constant(1000, 1000) - value(f"table2_mi_{moment}").value)
        reason = "Implied by the printed MI at 1,000 images a set: the second row of Table 2 is the digamma mean and no measurement of its own."
        check(f"neighbours_{moment}", f"Table 2, neighbours, {moment.upper()}", value(f"table2_neighbours_{moment}").value, implied, 2, reason)

    parts = [value(f"table4_{group}") for group in ("radiologists", "non_radiologists")]
    everyone = value("table4_all")
    attempts = _attempts(everyone)
    total, reconstructed = sum(_successes(part) for part in parts), sum(published.reconstructed_successes)
    reason = f"The two parts imply {total} right answers of {10 * attempts:,}; so does the reconstruction of Table 3."
    check("table4_all", "Table 4, all participants", everyone.value, total / (10 * attempts), 3, reason)
    check("table3_total", "Table 3, right answers (reconstructed)", reconstructed, total, 0, "Implied by the two parts of Table 4.")

    answers = [[1] * right + [0] * (attempts - right) for right in published.reconstructed_successes]
    implied = float(stats.kruskal(*answers).pvalue)
    check(
        "kruskal_wallis",
        "text, Kruskal-Wallis P",
        value("text_kruskal_wallis").value,
        implied,
        2,
        "Implied by the counts reconstructed from Table 3.",
    )

    spread = math.hypot(*((part.sd or math.nan) / math.sqrt(_attempts(part)) for part in parts))
    implied = float(2 * stats.norm.sf(abs(parts[0].value - parts[1].value) / spread))
    reason = "Implied by the means and standard deviations of Table 4, normal approximation. The printed P is the rate of the non-radiologists, 340 of 690 = .4928."
    check("p_radiologists", "text, radiologists v others, P", value("text_p_radiologists").value, implied, 2, reason)

    radiologists, trainees = _attempts(parts[0]), value("demographics_trainees").value
    reason = f"{radiologists} attempts by radiologists less {trainees:.0f} by trainees; Table 4 has {value('table4_board').n}, the text 55."
    check("board_certified", "text, attempts by the board certified", value("demographics_board").value, radiologists - trainees, 0, reason)
    people = value("demographics_radiologists").value + value("demographics_others").value
    check("readers", "text, readers", value("demographics_readers").value, people, 0, "Radiologists and others.")
    people += value("demographics_repeats").value
    check("attempts", "Table 4, attempts", attempts, people, 0, "Readers and repeated attempts.")


def _check_dumont2021(published: Published, check: Callable[[str, str, float, float, int, str], None]) -> None:
    def value(name: str) -> float:
        return published.value(name).value

    table = published.items["dumont2021_table1"].settings
    for benchmark, settings in table.items():
        for dimension in ("classes", "samples"):
            rows = [name for name in settings if name.startswith(dimension)]
            for column, reason in (("train", "Classes times training images a class."), ("test", "The same number of images of each class.")):
                cells = {name: (value(f"{benchmark}_{name}_{column}"), value(f"{benchmark}_{name}_classes")) for name in rows}
                right = sum(
                    total % classes == 0 and (column == "test" or total == classes * value(f"{benchmark}_{name}_smallest"))
                    for name, (total, classes) in cells.items()
                )
                cell = f"Table 1, {benchmark}, {dimension}: settings whose {column} images are as many as their classes imply"
                check(f"{benchmark}_{dimension}_{column}", cell, len(rows), right, 0, reason)
        pool, train = value(f"pool_{benchmark}_train_images"), value(f"{benchmark}_resolution_32_train")
        reason = "Its training split has so many images, and this benchmark uses all of them."
        check(f"{benchmark}_resolution_train", f"Table 1, {benchmark}, resolution: training images", train, pool, 0, reason)
    methods, note = value("pool_chest_validation_images_methods"), value("pool_chest_validation_images")
    check("chest_validation", "text, chest, validation images (Methods)", methods, note, 0, "Printed below Table 1.")

    positives = value("brain_images") - value("brain_negatives")
    folds = sum(value(f"pool_brain_{split}_images") for split in ("train", "validation", "test"))
    reason = f"As many negatives as positives: {value('brain_images'):,.0f} images less {value('brain_negatives'):,.0f} negatives, twice. Rare classes left, so it should be less."
    check("brain_folds", "text, brain, images of the three splits", folds, 2 * positives, 0, reason)
    patients = sum(value(f"pool_brain_{split}_patients") for split in ("train", "validation", "test"))
    reason = "The three splits. The rest may have gone with the rare classes and the negatives left out; the paper does not say."
    check("brain_patients", "text, brain, patients", value("brain_patients"), patients, 0, reason)
    check("gpu_days", "text, GPU days", value("gpu_days"), value("gpu_hours") / 24, 0, f"{value('gpu_hours'):,.0f} GPU hours.")
    check("seeds", "text, initialisations of each model", value("seeds"), value("seeds_512"), 0, "At 512 × 512 there was one.")
    for resolution, phases in ((256, 11), (512, 13)):
        reason = f"{phases} phases of a million images, which the stopping rule takes as a minimum."
        check(
            f"convergence_{resolution}",
            f"text, {resolution} × {resolution}: millions of images",
            value(f"convergence_{resolution}"),
            phases,
            1,
            reason,
        )


def _check_haarburger2019(published: Published, check: Callable[[str, str, float, float, int, str], None]) -> None:
    def value(name: str) -> float:
        return published.value(name).value

    for name in ("benign", "malignant"):
        patches, lesions = value(f"patches_{name}"), value(f"lesions_{name}")
        reason = f"A patch at the centre of each lesion, as the text has it; {patches / lesions:.1f} a lesion fit one in each of its slices."
        check(f"patches_{name}", f"Table 1, {name} patches", patches, lesions, 0, reason)
    fids = {printed.cell: printed.value for printed in published.items["haarburger2019_table2"].values if printed.measure == "frechet"}
    best = min(fids, key=lambda cell: fids[cell])
    check("best_fid", "abstract, best FID", value("best_fid"), fids[best], 2, f"The lowest of Table 2: {best}.")

    answers = reader_answers(published)
    for printed, (_, _, right, n) in zip(published.items["haarburger2019_table3"].values, answers.itertuples(index=False), strict=True):
        reason = f"{right} of {n} right answers, the only count that rounds to it."
        check(printed.id, f"Table 3, {printed.cell}", printed.value, 100 * right / n, 1, reason)
    totals = answers.groupby("reader")[["right", "n"]].sum()
    shares = totals["right"] / totals["n"]
    counted = ", ".join(f"{row.right} of {row.n} by the {row.Index}" for row in totals.itertuples())
    gap = shares["radiologist"] - shares["layperson"]
    check("readers_gap", "text, radiologist less layperson", value("readers_gap"), gap, 1, f"Right answers in all: {counted}.")
    reason = "T2, T1 before and after contrast, which the text counts as one channel each; the seventh of Figure 1 is their subtraction."
    check("channels", "text, channels of a patch", value("channels"), 2 + value("phases"), 0, reason)


def _correlations(published: Published) -> list[dict[str, object]]:
    """H19 says that FID and 1-NN accuracy correlate strongly, and prints no number: that of the six rows of Table 2, called consistent where they suffice to tell it from none."""
    columns = {
        measure: [value.value for value in published.items["haarburger2019_table2"].values if value.measure == measure]
        for measure in ("frechet", "nn_real", "nn_fake")
    }
    rows: list[dict[str, object]] = []
    for measure, side in (("nn_real", "real"), ("nn_fake", "fake")):
        pearson, spearman = stats.pearsonr(columns["frechet"], columns[measure]), stats.spearmanr(columns["frechet"], columns[measure])
        words = [f"{name} {test.statistic:.2f} (P = {test.pvalue:.2f})" for name, test in (("Pearson", pearson), ("Spearman", spearman))]
        rows.append(
            {
                "id": f"check_correlation_{side}",
                "cell": f"Table 2, correlation of FID and 1-NN accuracy, {side}",
                "published": math.nan,
                **_EMPTY,
                "ours": float(pearson.statistic),
                "status": CONSISTENT if pearson.pvalue < 0.05 else INCONSISTENT,
                "reason": f"Called strong, without a number. Over the {len(columns[measure])} rows: {', '.join(words)}.",
            }
        )
    return rows


def _attempts(value: Value) -> int:
    if value.n is None:
        raise LookalikeError("A printed value of readers has no n", f"printed values, {value.id}", "Enter the number of attempts or images.")
    return value.n


def _successes(group: Value) -> int:
    """The number of right answers behind a group's printed mean over ten questions."""
    return _count(group, 10 * _attempts(group), unit=1, half=0.0005)


def _count(value: Value, answers: int, *, unit: float, half: float) -> int:
    """The number of right answers behind a printed share: the only integer that rounds to it. `unit`: what all of them would print as; `half`: half its last decimal."""
    fitting = [count for count in range(answers + 1) if abs(unit * count / answers - value.value) <= half + 1e-12]
    if len(fitting) != 1:
        raise LookalikeError(f"{len(fitting)} counts round to the printed mean of {value.id}", "printed values", "Correct its value or n.")
    return fitting[0]
