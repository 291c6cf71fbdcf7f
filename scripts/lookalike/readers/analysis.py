"""What the answers of a reader study prove: the papers' tests as they print them, and beside each what answers the question.

Rows of `analyse` that are named alike differ in what they take as drawn at random. `exact`: answers, as if all were independent (too narrow where readers differ); `bootstrap`,
`readers` and `mixed`: readers, by drawing whole readers with replacement, by a t interval of their shares, and by a logit model with an intercept of each reader;
`readers and images`: both, where all readers answered the same images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lookalike.errors import LookalikeError
from lookalike.readers import clustered, equivalence, mixed, printed, roc
from lookalike.readers.study import Protocol
from lookalike.readers.yes_no import CHANCE, measure_answers, share_right
from lookalike.statistics import clopper_pearson_interval
from lookalike.utility.auc import Estimate

RESULTS = ("measure", "definition", "group", "value", "low", "high", "p", "p_holm", "n", "readers", "note")
"""Columns of `analyse`. Of a test `value` is its P value too; p_holm: adjusted over a family of one measure and definition: the groups of readers with their
complements, the sets, the classes, or the views (not `all`, `first attempts`, `repeats`); n: answers, or attempts."""
ALL, FIRST, REPEATS = "all", "first attempts", "repeats"
_COLUMNS = ("set", "class", "view")
"""What images are of: each is a family of groups of its own, named `COLUMN VALUE`."""
READERS = ("number", "reader", "attempt", "complete", "set", "right", "artefact", "n", "TR", "FR", "TS", "FS", "accuracy", "low", "high", "d_prime", "criterion",
           "auc", "auc_low", "auc_high")  # fmt: skip
"""Columns of `tabulate_readers`, before the groups. TR and FS: real images called real and synthetic; TS and FR: synthetic ones called synthetic and real."""
CONOVER = ("first", "second", "difference", "t", "p", "p_holm", "n")
ENOUGH = 0.9
"""Share of right answers from which K21 calls a reader one who could tell: nine of ten."""
_ALPHA = 0.05
_DRAWS = 20_000
_Z = float(stats.norm.isf(0.025))
_GOODNESS, _BOOTSTRAP, _AUC = range(3)


def strata(frame: pd.DataFrame, groups: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """K21's groups of readers, as masks of rows: `all`, each group and `not` it; the groups after the first, among who says yes to the first. Empty ones are left out.

    Args:
        frame: group_NAME of the groups that were asked.
        groups: names, in order.
    """
    masks = {ALL: np.ones(len(frame), dtype=np.bool_)}
    own = {name: frame[f"group_{name}"].to_numpy() for name in groups if f"group_{name}" in frame}
    asked = masks[ALL]
    for place, (name, answers) in enumerate(own.items()):
        masks |= {name: asked & (answers == "yes"), f"not {name}": asked & (answers == "no")}
        asked = masks[name] if place == 0 else asked
    return {name: mask for name, mask in masks.items() if mask.any()}


def complete_attempts(judged: pd.DataFrame, questions: int) -> pd.Series:
    """Of each row of judged answers: does its attempt have all its questions answered?

    Raises:
        LookalikeError: the number of a question is not one of 1 to `questions`.
    """
    odd = judged[~judged["question"].between(1, questions)]
    if len(odd):
        row = odd.iloc[0]
        raise LookalikeError(
            f"Question {row['question']} is not one of 1 to {questions}",
            f"reader {row['reader']}, attempt {row['attempt']}",
            "Number the questions of every attempt from 1, or correct reader_studies.NAME.questions.",
        )
    return judged.groupby(["reader", "attempt"])["question"].transform("size") == questions


def analyse(
    judged: pd.DataFrame, *, protocol: Protocol, questions: int, groups: Sequence[str], margins: Sequence[float], bootstrap: int, seed: int
) -> pd.DataFrame:
    """All results of a study, a row each: columns RESULTS.

    Attempts that are not complete are left out of all but `accuracy`, `with incomplete attempts`, and `attempts`, `incomplete`.

    Args:
        judged: as `answers.judge` gives them.
        protocol: the study's.
        questions: of an attempt (of artefacts not used).
        groups: names of the study's groups, in order.
        margins: of the equivalence tests.
        bootstrap: samples.
        seed: of the bootstraps.

    Raises:
        LookalikeError: no attempt is complete, a question is not one of `questions`, or a group is not the study's.
    """
    if unknown := [column for column in judged.columns if column.startswith("group_") and column.removeprefix("group_") not in groups]:
        raise LookalikeError(
            f"The answers have a column `{unknown[0]}` of a group that the study has not",
            "answers",
            "Add it to reader_studies.NAME.groups, or remove it.",
        )
    if protocol == "artefacts":
        return _finish(_artefacts(judged))
    complete = complete_attempts(judged, questions)
    if not complete.any():
        raise LookalikeError(
            f"No attempt has answers to all {questions} questions",
            "answers",
            "Wait until a reader is done, or correct reader_studies.NAME.questions.",
        )
    whole = judged[complete]
    # a reader whose first attempt was left unfinished has repeats only
    first = (judged["attempt"] == judged.groupby("reader")["attempt"].transform("min"))[complete].to_numpy()
    masks = strata(whole, groups) | ({} if first.all() else {FIRST: first, REPEATS: ~first})
    rows: list[dict[str, object]] = []
    for name, mask in masks.items():
        if mask.any():
            rows += _group(_Part(name, whole[mask]), margins=margins, bootstrap=bootstrap, seed=seed, pairs=protocol == "pair2afc")
    everyone = _Part(ALL, whole)
    left = len(judged.drop_duplicates(["reader", "attempt"])) - everyone.attempts
    rows.append(everyone.row("attempts", "incomplete", left, note="left out of all rows that do not name them"))
    if left:
        rows.append(_Part(ALL, judged).row("accuracy", "with incomplete attempts", *_exact(judged)))
    rows += _study(everyone, questions=questions, margins=margins, seed=seed, pairs=protocol == "pair2afc")
    rows += _compare_groups({"attempts": whole, FIRST: whole[first]}, groups)
    for column in _COLUMNS:
        for name in sorted(set(whole[column]) - {""}) if whole[column].nunique() > 1 else ():
            rows += _shares(_Part(f"{column} {name}", whole[whole[column] == name]), bootstrap=bootstrap, seed=seed)
    rows += _confidence(everyone, bootstrap=bootstrap, seed=seed)
    return _finish(rows)


class _Part(NamedTuple):
    """Answers of one group."""

    name: str
    rows: pd.DataFrame

    @property
    def attempts(self) -> int:
        return len(self.rows.drop_duplicates(["reader", "attempt"]))

    @property
    def by_reader(self) -> pd.DataFrame:
        """right and n of each reader."""
        return _tally(self.rows, ["reader"])

    @property
    def by_attempt(self) -> pd.DataFrame:
        """The same of each attempt."""
        return _tally(self.rows, ["reader", "attempt"])

    @property
    def crossed(self) -> bool:
        """Did all readers answer the same images?"""
        return bool(self.rows["image"].ne("").all()) and len({frozenset(images) for _, images in self.rows.groupby("reader")["image"]}) == 1

    @property
    def crossed_mean(self) -> clustered.Mean | None:
        """The mean over readers and images, where these are crossed and it has an error."""
        if not self.crossed:
            return None
        cells = self.rows.pivot_table(index="reader", columns="image", values="right")
        found = clustered.crossed_mean(cells, self.rows.groupby("image")["truth"].first().reindex(cells.columns))
        return None if math.isnan(found.error) else found

    def row(
        self,
        measure: str,
        definition: str,
        value: float,
        low: float = math.nan,
        high: float = math.nan,
        p: float = math.nan,
        *,
        n: int | None = None,
        note: str = "",
    ) -> dict[str, object]:
        size = len(self.rows) if n is None else n
        numbers = {"value": value, "low": low, "high": high, "p": p, "n": size, "readers": self.rows["reader"].nunique()}
        return {"measure": measure, "definition": definition, "group": self.name, **numbers, "note": note}

    def estimate(self, measure: str, definition: str, found: Estimate, *, note: str) -> dict[str, object]:
        return self.row(measure, definition, found.value, found.low, found.high, found.p, note=note)

    def test(self, measure: str, definition: str, p: float, *, n: int | None = None, note: str = "") -> dict[str, object]:
        return self.row(measure, definition, p, p=p, n=n, note=note)


def _tally(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    grouped = rows.groupby(by)["right"]
    return pd.DataFrame({"right": grouped.sum(), "n": grouped.size()})


def _finish(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows)).assign(p_holm=math.nan)
    tests = frame[~frame["group"].isin((ALL, FIRST, REPEATS))].dropna(subset="p")
    families = [name.partition(" ")[0] if name.startswith(tuple(f"{column} " for column in _COLUMNS)) else "" for name in tests["group"]]
    for (measure, _, _), own in tests.groupby(["measure", "definition", pd.Series(families, index=tests.index, dtype=str)]):
        # each of two sets or views against the other is one test
        once = measure == "artefact_share" and len(own) == 2
        frame.loc[own.index, "p_holm"] = own["p"] if once else printed.holm(own["p"])
    return frame[list(RESULTS)]


def _exact(rows: pd.DataFrame) -> tuple[float, float, float, float]:
    found = share_right(int(rows["right"].sum()), len(rows))
    value, low, high = map(float, found.loc["accuracy"])
    return value, low, high, float(found["value"]["p"])


def _shares(part: _Part, *, bootstrap: int, seed: int) -> Iterator[dict[str, object]]:
    """The share of right answers, each way."""
    readers = part.by_reader
    shares = readers["right"] / readers["n"]
    value, low, high, p = _exact(part.rows)
    yield part.row("accuracy", "exact", value, low, high, p, note="answers taken as independent")
    ends, warning = _unless_few(
        part, *clustered.bootstrap_accuracy(part.rows["right"], part.rows["reader"], draws=bootstrap, seed=(seed, _BOOTSTRAP))
    )
    yield part.row("accuracy", "bootstrap", value, *ends, note=f"whole readers drawn with replacement{warning}")
    yield part.estimate("accuracy", "readers", clustered.reader_t(shares), note="t interval of the readers' shares")
    if (both := part.crossed_mean) is not None:
        note = "readers and images drawn at random, images within their truth; all readers answered the same images"
        yield part.estimate("accuracy", "readers and images", both.test(), note=note)


def _group(part: _Part, *, margins: Sequence[float], bootstrap: int, seed: int, pairs: bool) -> Iterator[dict[str, object]]:
    """What is known of one group of attempts."""
    right, n = int(part.rows["right"].sum()), len(part.rows)
    attempts, readers = part.by_attempt, part.by_reader
    shares = readers["right"] / readers["n"]
    yield part.row("readers", "", len(readers))
    yield part.row("attempts", "complete", len(attempts))
    yield part.row("right", "", right)
    yield from _shares(part, bootstrap=bootstrap, seed=seed)
    yield part.row(
        "accuracy_sd", "attempts", float((attempts["right"] / attempts["n"]).std(ddof=1)), n=len(attempts), note="standard deviation over attempts"
    )
    yield from _mixed(part)
    both = part.crossed_mean
    for margin in margins:
        yield part.test("equivalence", f"exact {margin:g}", equivalence.tost_exact(right, n, margin), note="answers taken as independent")
        yield part.test(
            "equivalence",
            f"readers {margin:g}",
            equivalence.tost_t(shares, margin),
            n=len(readers),
            note="two one-sided t tests of the readers' shares",
        )
        if both is not None:
            note = "two one-sided t tests of the mean over readers and images"
            yield part.test("equivalence", f"readers and images {margin:g}", equivalence.tost_mean(both, margin), note=note)
    for side in ("less", "greater"):
        yield part.test(
            "wilcoxon",
            side,
            printed.wilcoxon_half(readers["right"], readers["n"], side),
            n=len(readers),
            note=f"readers' shares are {side} than 1/2, exact",
        )
    if pairs:
        found = clustered.reader_t(shares)
        d_primes = [_d_prime_of_pairs(share * n, n) for share in (found.value, found.low, found.high)]
        yield part.row("d_prime", "readers", *d_primes, note="from the mean of the readers' shares and its t interval")
    elif set(part.rows["truth"]) >= {"real", "synthetic"}:
        yield from _signal(part)


def _d_prime_of_pairs(right: float, n: int) -> float:
    """d' of a choice between two: the square root of 2 times z of the share, log-linear so that it is finite; NaN stays NaN."""
    return math.sqrt(2) * float(stats.norm.ppf(np.clip((right + 0.5) / (n + 1), 0.5 / (n + 1), 1 - 0.5 / (n + 1))))


def _signal(part: _Part) -> Iterator[dict[str, object]]:
    """Signal detection, of all answers as one reader's and of the readers."""
    TR, FR, TS, FS = _four(part.rows)
    pooled = measure_answers(TR, TR + FS, TS, TS + FR)
    for measure in ("sensitivity", "specificity", "balanced_accuracy", "d_prime", "criterion"):
        value, low, high = map(float, pooled.loc[measure])
        yield part.row(measure, "pooled", value, low, high, note="all answers as one reader's")
    counts = [_four(rows) for _, rows in part.rows.groupby("reader")]
    each = [measure_answers(TR, TR + FS, TS, TS + FR)["value"] for TR, FR, TS, FS in counts if TR + FS and TS + FR]
    for measure in ("d_prime", "criterion"):
        values = np.array([own[measure] for own in each])
        if len(values) > 1 and np.ptp(values) > 0:
            found = stats.ttest_1samp(values, 0.0)
            low, high = map(float, found.confidence_interval(0.95))
            note = "mean of the readers' own, t interval"
            yield part.row(measure, "readers", float(values.mean()), low, high, float(found.pvalue), n=len(values), note=note)


def _four(rows: pd.DataFrame) -> tuple[int, int, int, int]:
    """TR, FR, TS, FS, of images whose truth is known."""
    real, synthetic, right = rows["truth"] == "real", rows["truth"] == "synthetic", rows["right"] == 1
    return int((real & right).sum()), int((synthetic & ~right).sum()), int((synthetic & right).sum()), int((real & ~right).sum())


def _mixed(part: _Part) -> Iterator[dict[str, object]]:
    found = mixed.fit(part.rows["right"], part.rows["reader"])
    if math.isnan(found.sd):
        return
    share = found.accuracy
    (low, high, p), warning = _unless_few(part, share.low, share.high, share.p)
    note = f"logit model with an intercept of each reader; a reader drawn at random{warning}"
    yield part.row("accuracy", "mixed", share.value, low, high, p, note=note)
    yield part.row("reader_sd", "mixed", found.sd, p=found.sd_p, note="standard deviation of the readers' levels, in log-odds")


def _unless_few(part: _Part, *ends: float) -> tuple[Sequence[float], str]:
    """Interval and P value of a method that takes readers as many, and what their note is to add."""
    few = part.rows["reader"].nunique() < mixed.FEW
    return ([math.nan] * len(ends), f"; of fewer than {mixed.FEW} readers interval and P would be too small") if few else (ends, "")


def _study(part: _Part, *, questions: int, margins: Sequence[float], seed: int, pairs: bool) -> Iterator[dict[str, object]]:
    """Tests of the study as a whole."""
    attempts, readers = part.by_attempt, part.by_reader
    index, p = clustered.dispersion(readers["right"], readers["n"])
    yield part.row("dispersion", "readers", index, p=p, n=len(readers), note="1 = readers differ as by chance alone")
    trial = (part.rows["question"] + questions * (part.rows["attempt"] - 1)).to_numpy(np.float64)
    learning = mixed.fit(part.rows["right"], part.rows["reader"], (trial - trial.mean())[:, None]) if questions > 1 else None
    if learning is not None and not math.isnan(learning.sd):
        slope, half = learning.coefficients[1], _Z * learning.standard_errors[1]
        (low, high, p), warning = _unless_few(part, slope - half, slope + half, learning.p[1])
        yield part.row("learning", "mixed", slope, low, high, p, note=f"log-odds of a right answer, a question{warning}")
    if pairs:
        for bins, row in printed.goodness_of_fit(attempts["right"], questions, draws=_DRAWS, seed=seed + _GOODNESS).iterrows():
            note = f"chi-square {row['statistic']:.3f}" + ("" if math.isnan(row["df"]) else f", {row['df']:.0f} df")
            yield part.test("chi_square", str(bins), row["p"], n=len(attempts), note=note)
        answers = _by_question(part.rows)
    if pairs and questions > 1:
        h, p = printed.kruskal(list(answers.to_numpy().T))
        yield part.test("kruskal_questions", "attempts", p, note=f"H {h:.3f}; takes the answers of a reader as independent")
        q, p = clustered.cochran_q(answers)
        yield part.test("cochran_questions", "attempts", p, note=f"Q {q:.3f}")
    if pairs:
        yield from _best(part, questions=questions)
    each = float(stats.hmean(readers["n"]))
    for margin in margins:
        exact = equivalence.power_tost(len(part.rows), margin)
        yield part.row("power", f"exact {margin:g}", exact, note="of the exact test, answers taken as independent, if the truth is 1/2")
        if len(readers) > 1:
            note = f"of the t tests of the shares of {len(readers)} readers with {each:.0f} answers each, if all guess"
            yield part.row("power", f"readers {margin:g}", equivalence.power_tost_t(len(readers), each, margin), note=note)
        yield part.row("sample_size", f"{margin:g}", equivalence.sample_size(margin), note="independent answers for a power of 0.8")


def _best(part: _Part, *, questions: int) -> Iterator[dict[str, object]]:
    """K21's question: is a reader with nine of ten right one who can tell, or one of many who guess?"""
    attempts = part.by_attempt
    n, least = len(attempts), math.ceil(ENOUGH * questions)
    yield part.row("best_attempt", "", int(attempts["right"].max()), n=n, note=f"right answers of {questions}")
    luck = printed.nine_of_ten(n, questions, least)
    definition = f"{least} of {questions}"
    yield part.row("high_attempts", definition, int((attempts["right"] >= least).sum()), n=n, note="attempts with so many right answers or more")
    yield part.row("high_by_chance", definition, luck.expected, n=n, note="number of such attempts that guessing gives")
    note = f"chance of at least one by guessing; of a given attempt {luck.single:.4f}"
    yield part.row("high_any_by_chance", definition, luck.any, n=n, note=note)


def _by_question(rows: pd.DataFrame) -> pd.DataFrame:
    """right [attempts, questions]."""
    return rows.pivot(index=["reader", "attempt"], columns="question", values="right")


def _compare_groups(attempts: Mapping[str, pd.DataFrame], groups: Sequence[str]) -> Iterator[dict[str, object]]:
    """Each group against who is not in it (of the groups after the first: among the first), in answers by definition."""
    for definition, own in attempts.items():
        masks = strata(own, groups)
        for name in groups:
            if name not in masks or f"not {name}" not in masks:
                continue
            sides = [_Part(name, own[masks[side]]) for side in (name, f"not {name}")]
            shares = [side.by_attempt["right"] / side.by_attempt["n"] for side in sides]
            both = _Part(name, own[masks[name] | masks[f"not {name}"]])
            h, p = printed.kruskal(shares)
            sizes = f"{len(shares[0])} v {len(shares[1])}"
            yield both.test("kruskal_groups", definition, p, n=sum(map(len, shares)), note=f"H {h:.3f}; {sizes} attempts")
            if definition == FIRST:
                yield both.test(
                    "mann_whitney_groups", definition, printed.mann_whitney(*shares), n=sum(map(len, shares)), note=f"exact up to 50 readers; {sizes}"
                )


def _confidence(part: _Part, *, bootstrap: int, seed: int) -> Iterator[dict[str, object]]:
    """ROC curves, where readers said how sure they were, in the first complete attempt of each."""
    known = part.rows[part.rows["truth"] != ""]
    first = known[known["attempt"] == known.groupby("reader")["attempt"].transform("min")]
    scored = first.dropna(subset="score")
    if set(scored["truth"]) != {"real", "synthetic"}:
        return
    raters = scored["reader"].nunique()
    silent = part.rows["reader"].nunique() - raters
    missing = f"; {silent} {'reader' if silent == 1 else 'readers'} without any confidence left out" if silent else ""
    why = "they saw different images"
    if _Part("", first[first["reader"].isin(scored["reader"])]).crossed:
        scores = scored.pivot_table(index="reader", columns="image", values="score")
        rated = scores.dropna(axis="columns")
        shown = first["image"].nunique()
        missing += f"; {rated.shape[1]} of {shown} images were rated by all" if rated.shape[1] < shown else ""
        kept = _Part(part.name, scored[scored["image"].isin(rated.columns)])
        truth = kept.rows.groupby("image")["truth"].first().reindex(rated.columns).eq("synthetic").astype(int).to_numpy()
        if np.unique(truth).size == 2:
            crossed = rated.to_numpy()
            found = roc.obuchowski_rockette(crossed, truth)
            yield kept.estimate("auc", "Obuchowski-Rockette", found, note=f"readers and images drawn at random, images taken as independent{missing}")
            patients = kept.rows.groupby("image")["patient"].first().reindex(rated.columns)
            cases = patients.where(patients != "", patients.index)
            ends = roc.bootstrap_mean_auc(crossed, truth, cases, draws=bootstrap, seed=seed + _AUC)
            yield kept.row("auc", "bootstrap", found.value, *ends, note=f"readers and patients drawn with replacement{missing}")
            return
        why = "too few images were rated by all"
    aucs = pd.Series([_auc(rows)[0] for _, rows in scored.groupby("reader")]).dropna()
    if len(aucs):
        yield _Part(part.name, scored).estimate("auc", "readers", clustered.reader_t(aucs), note=f"t interval of the readers' AUCs: {why}{missing}")


def _auc(rows: pd.DataFrame) -> tuple[float, float, float]:
    scored = rows.dropna(subset="score")
    truth = scored["truth"].eq("synthetic").astype(int).to_numpy()
    if scored["truth"].nunique() < 2:
        return math.nan, math.nan, math.nan
    value, low, high, _ = roc.reader_aucs(scored["score"].to_numpy()[None], truth).iloc[0]
    return value, low, high


def tabulate_readers(judged: pd.DataFrame, *, protocol: Protocol, questions: int) -> pd.DataFrame:
    """A row an attempt and set of images: columns READERS, then the groups.

    `set` is all, and where images were shown singly: real, and each synthetic set, whose TR and FS are those of all real images and whose right, n and accuracy are its own
    alone. d' of pairs is that of the share of right answers. What takes the truth, where that is not known, is NaN.

    Args:
        judged: as `answers.judge` gives them.
        protocol: the study's.
        questions: of an attempt; of artefacts, of which an attempt has any number, not used.

    Raises:
        LookalikeError: as `complete_attempts`.
    """
    complete = pd.Series(True, index=judged.index) if protocol == "artefacts" else complete_attempts(judged, questions)
    groups = [column for column in judged.columns if column.startswith("group_")]
    numbers = {reader: place for place, reader in enumerate(dict.fromkeys(judged["reader"]), 1)}
    rows: list[dict[str, object]] = []
    for (reader, attempt), own in judged.groupby(["reader", "attempt"], sort=False):
        head = {"number": numbers[reader], "reader": reader, "attempt": attempt, "complete": int(complete[own.index[0]])}
        tail = {column: own[column].iloc[0] for column in groups}
        sets = ["real", *sorted(set(own["set"]) - {"real", ""})] if "real" in set(own["truth"]) else []
        rows += [{**head, "set": name, **_attempt(own, name, protocol), **tail} for name in (ALL, *sets)]
    return pd.DataFrame(rows).reindex(columns=[*READERS, *groups])


def _attempt(own: pd.DataFrame, name: str, protocol: Protocol) -> dict[str, float]:
    part = own if name == ALL else own[own["set"] == name]
    if protocol == "artefacts":
        return {"artefact": part["artefact"].sum(), "n": len(part)}
    right, n = int(part["right"].sum()), len(part)
    low, high = clopper_pearson_interval(right, n)
    row: dict[str, float] = {"right": right, "n": n, "accuracy": right / n, "low": low, "high": high}
    if protocol == "pair2afc":
        return row | {"d_prime": _d_prime_of_pairs(right, n)}
    against = part if name in (ALL, "real") else own[(own["truth"] == "real") | (own["set"] == name)]
    TR, FR, TS, FS = _four(against)
    row |= ({"TR": TR, "FS": FS} if TR + FS else {}) | ({"TS": TS, "FR": FR} if TS + FR else {})
    if not TR + FS or not TS + FR:
        return row
    found = measure_answers(TR, TR + FS, TS, TS + FR)["value"]
    auc, auc_low, auc_high = _auc(against)
    signal = {"d_prime": found["d_prime"], "criterion": found["criterion"], "auc": auc, "auc_low": auc_low, "auc_high": auc_high}
    return row | signal


def load_results(path: Path) -> pd.DataFrame:
    """Read the file of `analyse`."""
    return _load(path, ("measure", "definition", "group", "note"))


def load_readers(path: Path) -> pd.DataFrame:
    """Read the file of `tabulate_readers`."""
    return _load(path, ("reader", "set"))


def _load(path: Path, texts: Sequence[str]) -> pd.DataFrame:
    """A table whose `texts` and groups may look like numbers, like nothing, or like a comment: only a first line that begins with `# ` is one."""
    with path.open(encoding="utf-8") as file:
        label = int(file.readline().startswith("# "))
    columns = pd.read_csv(path, skiprows=label, nrows=0).columns
    own = [name for name in columns if name in texts or name.startswith("group_")]
    frame = pd.read_csv(path, skiprows=label, dtype=dict.fromkeys(own, str), keep_default_na=False, na_values=[""])
    return frame.fillna(dict.fromkeys(own, ""))


_SCOPES = {
    "readers and images": "by readers and images",
    "readers": "by readers",
    "exact": "for these readers, and no others, their answers taken as independent",
}
"""Definitions that verdicts are drawn by, and what they hold for."""


def widest(results: pd.DataFrame, measure: str = "accuracy") -> str:
    """What a share of all is judged by, the definition of its row: by readers, or by readers and images where all answered the same ones, whichever interval is wider (few readers
    tell little of how readers differ, few images little of how images do); by answers, for these readers alone, where there is no interval over readers."""
    rows = results[(results["measure"] == measure) & (results["group"] == ALL)].set_index("definition")
    over_readers = rows[rows.index.isin(_SCOPES) & (rows.index != "exact")].dropna(subset="low")
    return str((over_readers["high"] - over_readers["low"]).idxmax()) if len(over_readers) else "exact"


def verdicts(results: pd.DataFrame) -> list[str]:
    """What the answers prove, a sentence each: do readers do other than guess, and for every margin, do they guess. Judged by what is `widest`.

    Args:
        results: as `analyse` gives them.
    """
    rows = {(row["measure"], row["definition"]): row for row in results[results["group"] == ALL].to_dict("records")}
    measure = "artefact_share" if ("artefact_share", "exact") in rows else "accuracy"
    by = widest(results, measure)
    share = rows[measure, by]
    whose = "for this reader, and no other" if share["readers"] == 1 else _SCOPES[by]
    if measure == "artefact_share":
        return [
            f"Obvious artefacts were seen in {100 * share['value']:.1f} % of {share['n']:,.0f} answers, {100 * share['low']:.1f} to {100 * share['high']:.1f} % {whose}."
        ]
    found = f"{100 * share['value']:.1f} % right, {100 * share['low']:.1f} to {100 * share['high']:.1f} %, {_p(share['p'])} {whose}"
    if share["p"] >= _ALPHA:
        sentences = [f"A difference from guessing is not proved: {found}. That is no proof of guessing either."]
    elif share["value"] > CHANCE:
        sentences = [f"Readers tell real from synthetic: {found}."]
    else:
        sentences = [f"Readers tell real from synthetic, and name them the wrong way round: {found}."]
    for name in (definition.removeprefix("exact ") for measure, definition in rows if measure == "equivalence" and definition.startswith("exact ")):
        p = rows["equivalence", f"{by} {name}"]["p"]
        points = f"{100 * float(name):g} points of one half"
        if p < _ALPHA:
            sentences.append(f"Within {points}: proved, {_p(p)} {whose}.")
        elif share["low"] > CHANCE + float(name) or share["high"] < CHANCE - float(name):
            sentences.append(f"Within {points}: refuted, the interval lies beyond.")
        else:
            n, readers = share["n"], share["readers"]
            size = f"{n:,.0f} independent answers of readers" if by == "exact" else f"{readers:,.0f} readers with {n:,.0f} answers together"
            power = rows["power", f"{'exact' if by == 'exact' else 'readers'} {name}"]["value"]
            chance = f"{size} who guess prove it with a chance of {power:.2f}"
            sentences.append(f"Within {points}: not proved, {_p(p)} {whose}; {chance}.")
    return sentences


def _p(value: float) -> str:
    return "P < 0.0001" if value < 1e-4 else f"P = {value:.4f}" if value < 0.01 else f"P = {value:.2f}"


def compare_questions(judged: pd.DataFrame, *, questions: int) -> pd.DataFrame:
    """Conover's test of every two questions over the complete attempts (K21, Table 3): columns CONOVER; difference: share right of the first less that of the second. No rows where
    all answers are equal, or of a single question or attempt."""
    answers = _by_question(judged[complete_attempts(judged, questions)])
    if min(answers.shape) < 2 or np.ptp(answers.to_numpy()) == 0:
        return pd.DataFrame(columns=list(CONOVER))
    found = printed.conover({int(str(question)): answers[question] for question in answers})
    shares = answers.mean()
    return found.assign(difference=shares[found["first"]].to_numpy() - shares[found["second"]].to_numpy(), n=len(answers))[list(CONOVER)]


def _artefacts(judged: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Share of the images in which readers saw an artefact, of all, by view and by set, and of each kind. P values: against the others; of a set, in the views that both have."""
    parts = {ALL: judged}
    several = judged["reader"].nunique() > 1
    same = "; all readers saw the same images" if several and _Part("", judged).crossed else ""
    for column in ("view", "set"):
        names = sorted(set(judged[column]) - {""})
        parts |= {f"{column} {name}": judged[judged[column] == name] for name in names if len(names) > 1}
    for name, rows in parts.items():
        part = _Part(name, rows)
        yes, n = int(rows["artefact"].sum()), len(rows)
        own, others = rows, judged.drop(rows.index)
        if name.startswith("set "):
            views = set(own["view"]) & set(others["view"])
            own, others = own[own["view"].isin(views)], others[others["view"].isin(views)]
        p = float(stats.fisher_exact([_yes_no(own), _yes_no(others)]).pvalue) if len(own) and len(others) else math.nan
        yield part.row("artefact_count", "", yes)
        yield part.row(
            "artefact_share",
            "exact",
            yes / n,
            *clopper_pearson_interval(yes, n),
            p,
            note=f"answers taken as independent; P: Fisher's exact test against the others{same}",
        )
        if several:
            shares, elsewhere = (answers.groupby("reader")["artefact"].mean() for answers in (own, others))
            gaps = (shares - elsewhere).dropna()
            p = float(stats.ttest_1samp(gaps, 0.0).pvalue) if len(gaps) > 1 and np.ptp(gaps) > 0 else math.nan
            found = clustered.reader_t(rows.groupby("reader")["artefact"].mean())
            note = f"t interval of the readers' shares; P: paired t test of a reader's shares here and in the others{same}"
            yield part.row("artefact_share", "readers", found.value, found.low, found.high, p, note=note)
        for kind in sorted(set(judged["kind"]) - {""}):
            count = int((rows["kind"] == kind).sum())
            yield part.row("artefact_kind", kind, count / n, *clopper_pearson_interval(count, n), n=n, note=f"{count} images")


def _yes_no(rows: pd.DataFrame) -> list[int]:
    yes = int(rows["artefact"].sum())
    return [yes, len(rows) - yes]
