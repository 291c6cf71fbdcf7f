"""Reader studies from files to tables: three kinds of files, K21's and H19's own counts, broken files, and what the answers prove."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import cochrans_q
from test_published import HAARBURGER

from lookalike import tables
from lookalike.config import ReaderStudy
from lookalike.errors import LookalikeError
from lookalike.figures import readers as figure
from lookalike.published import compare, load, patch_reader_measures, reader_measures
from lookalike.readers import PROGRAMS, printed
from lookalike.readers.analysis import (
    ALL,
    CONOVER,
    RESULTS,
    analyse,
    compare_questions,
    load_readers,
    load_results,
    tabulate_readers,
    verdicts,
    widest,
)
from lookalike.readers.answers import JUDGED, judge, read_answers
from lookalike.readers.checklist import UNKNOWN, fill_checklist
from lookalike.readers.study import COLUMNS, Protocol

KORKINOF = load(Path(__file__).parents[1] / "config" / "published" / "korkinof2021.yaml")
GROUPS = ("radiologist", "board_certified", "breast", "screening")
DIGEST = "d" * 64
NO_KEY = pd.DataFrame(columns=["digest", "image", "truth", "set", "class", "view", "warmup"])


def image(number: int) -> str:
    return f"{number:032x}"


def key_of(truths: list[str], sets: list[str], *, warmup: int = 0) -> pd.DataFrame:
    """Truth of images 0, 1, ...; the first `warmup` are of a warm-up."""
    numbers = np.arange(len(truths))
    frame = pd.DataFrame(
        {"study": "s", "digest": DIGEST, "image": [image(number) for number in numbers], "truth": truths, "set": sets, "class": "", "view": "MLO"}
    )
    return frame.assign(source=frame["image"], warmup=(numbers < warmup).astype(int))


def answer(reader: str, question: int, images: list[int], choice: str, **more: object) -> dict[str, object]:
    """A row of the server's export."""
    row = dict.fromkeys(COLUMNS, "") | {"study": "s", "digest": DIGEST, "reader": reader, "attempt": 1, "sequence": 1, "question": question}
    row |= {"phase": "warmup" if choice == "seen" else "test", "first": image(images[0]), "second": image(images[1]) if len(images) == 2 else ""}
    return row | {"choice": choice, "ms": 1000, "active_ms": 900, "hidden_ms": 0, "zoom": 1.0, "windowed": 0, "screen": "1280x800"} | more


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def k21() -> pd.DataFrame:
    """A table with the counts of K21's Table 4 and, by question, those behind its Table 3: 133 attempts of 117 readers."""
    yes = dict.fromkeys((f"group_{name}" for name in GROUPS), "yes")
    no_breast, no_board = yes | {"group_breast": "no", "group_screening": "no"}, yes | dict.fromkeys((f"group_{name}" for name in GROUPS[1:]), "no")
    other = dict.fromkeys(yes, "no")  # not among those who are asked the rest
    # attempts and right answers: screening 35, other breast 2, other board certified 16, trainees 11, not radiologists 53 and, again, 16 of them
    cells = [(35, 161, yes), (2, 8, yes | {"group_screening": "no"}), (16, 89, no_breast), (11, 54, no_board), (53, 264, other), (16, 76, other)]
    left = np.array(KORKINOF.reconstructed_successes)
    rows = []
    for place, (attempts, right, groups) in enumerate(cells):
        own_right = right // attempts + (np.arange(attempts) < right % attempts)
        # two by two one has more, the other less, so that attempts differ about as much as K21's
        for start in range(0, attempts - 1, 2):
            own_right[start : start + 2] += np.array([1, -1]) * (1, 2, 1, 3, 0)[start // 2 % 5]
        for number, own in enumerate(own_right):
            # the questions that lack most right answers get them, so that all totals are met
            chosen = np.argsort(-left, kind="stable")[:own]
            left[chosen] -= 1
            name = f"{min(place, 4)}-{number}"
            rows += [{"reader": name, "attempt": 1 + (place == 5), "question": q + 1, "right": int(q in chosen), **groups} for q in range(10)]
    assert not left.any()
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def judged_k21(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("k21") / "tidy.csv"
    k21().to_csv(path, index=False)
    return judge(read_answers([path]), NO_KEY, protocol="pair2afc")


@pytest.fixture(scope="module")
def results_k21(judged_k21: pd.DataFrame) -> pd.DataFrame:
    return analyse(judged_k21, protocol="pair2afc", questions=10, groups=GROUPS, margins=(0.05, 0.025), bootstrap=200, seed=1)


def cell(results: pd.DataFrame, measure: str, definition: str, group: str = ALL, column: str = "value") -> float:
    rows = results[(results["measure"] == measure) & (results["definition"] == definition) & (results["group"] == group)]
    assert len(rows) == 1, (measure, definition, group)
    return float(rows[column].iloc[0])


def test_k21s_table_4_and_its_conflict(results_k21: pd.DataFrame) -> None:
    assert list(results_k21.columns) == list(RESULTS)
    table = tables.korkinof2021_table4(results_k21).frame.xs("value", level="statistic")
    rows = {"radiologist": 64, "not radiologist": 69, "board certified": 53, "breast": 37, "screening": 35, "repeats": 16}
    theirs = {value.n: value.value for value in KORKINOF.items["table4"].values}
    for name, attempts in rows.items():
        assert table.loc[name, "attempts"] == attempts and round(table.loc[name, "share right"], 3) == theirs[attempts], name
    assert table["right answers"].reindex(rows).tolist() == [312, 340, 258, 169, 161, 76]
    # its two parts give another mean of all than the one that it prints
    assert (table.loc[ALL, "right answers"], table.loc[ALL, "attempts"]) == (652, 133)
    assert round(table.loc[ALL, "share right"], 3) == 0.490 and theirs[133] == 0.492
    assert cell(results_k21, "readers", "") == 117 and cell(results_k21, "attempts", "complete", "not board_certified") == 11


def test_k21s_tests_as_printed(judged_k21: pd.DataFrame, results_k21: pd.DataFrame) -> None:
    assert cell(results_k21, "kruskal_questions", "attempts") == pytest.approx(0.8414, abs=5e-5)
    assert cell(results_k21, "equivalence", "exact 0.05") == pytest.approx(stats.binom.sf(651, 1330, 0.45), rel=1e-9)
    assert cell(results_k21, "equivalence", "readers 0.05") < 0.05 < cell(results_k21, "equivalence", "exact 0.025")
    assert cell(results_k21, "high_by_chance", "9 of 10") == pytest.approx(1.43, abs=0.01) and cell(
        results_k21, "high_any_by_chance", "9 of 10"
    ) == pytest.approx(0.76, abs=0.01)
    radiologists = judged_k21[judged_k21["group_radiologist"] == "yes"]
    shares = radiologists.groupby(["reader", "attempt"])["right"].mean()
    breast = radiologists.groupby(["reader", "attempt"])["group_breast"].first()
    by_hand = stats.kruskal(shares[breast == "yes"], shares[breast == "no"]).pvalue
    assert cell(results_k21, "kruskal_groups", "attempts", "breast") == pytest.approx(by_hand)
    holm = results_k21[(results_k21["measure"] == "kruskal_groups") & (results_k21["definition"] == "attempts")]
    assert (holm["p_holm"] >= holm["p"]).all() and len(holm) == 4
    assert holm["p_holm"].min() == pytest.approx(min(1, 4 * holm["p"].min())) and holm["p_holm"].max() <= 1

    conover = compare_questions(judged_k21, questions=10)
    assert list(conover.columns) == list(CONOVER)
    table = tables.korkinof2021_table3(conover).frame.xs("value", level="statistic")
    for value in KORKINOF.items["table3"].values:
        first, second = value.cell.split(", ")
        assert table.loc[first, second] == pytest.approx(value.value, abs=0.002) or (value.value == 0.99 and table.loc[first, second] > 0.99), (
            value.id
        )
        assert table.loc[second, first] == 1


def test_the_verdicts_tell_proof_from_its_absence(judged_k21: pd.DataFrame, results_k21: pd.DataFrame) -> None:
    differ, five, less = verdicts(results_k21)
    assert differ.startswith("A difference from guessing is not proved") and five.startswith("Within 5 points of one half: proved")
    assert less.startswith("Within 2.5 points of one half: not proved") and "with a chance of 0." in less
    assert all(sentence in tables.summary(results_k21).notes for sentence in (differ, five, less))

    def first_verdict(judged: pd.DataFrame) -> str:
        return verdicts(analyse(judged, protocol="pair2afc", questions=10, groups=GROUPS, margins=(0.05,), bootstrap=20, seed=1))[0]

    better = judged_k21.assign(right=(judged_k21["right"] + (judged_k21["question"] < 4)).clip(upper=1))
    assert first_verdict(better).startswith("Readers tell real from synthetic: ")
    far = analyse(better, protocol="pair2afc", questions=10, groups=GROUPS, margins=(0.05,), bootstrap=20, seed=1)
    assert verdicts(far)[1] == "Within 5 points of one half: refuted, the interval lies beyond."
    assert "the wrong way round" in first_verdict(better.assign(right=1 - better["right"]))
    assert "for this reader, and no other" in first_verdict(better[better["reader"] == "0-0"])


def pairs() -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Two readers of three pairs; reader a is right, wrong, right, reader b wrong throughout."""
    key = key_of(["real", "synthetic"] * 3, ["real", "progan"] * 3)
    rows = []
    for reader, choices in (("a", "lll"), ("b", "rlr")):
        for question, (letter, images) in enumerate(zip(choices, ([0, 1], [3, 2], [4, 5]), strict=True), 1):
            choice = {"l": "left", "r": "right"}[letter]
            rows.append(answer(reader, question, images, choice, group_radiologist="yes" if reader == "a" else "no"))
    return key, rows


def static_file(rows: list[dict[str, object]]) -> str:
    """The same answers as the static page writes those of one reader."""
    names = ("question", "choice", "ms", "active_ms", "hidden_ms", "zoom", "screen")
    answers = [
        {**{name: row[name] for name in names}, "images": [row["first"], row["second"]], "windowed": False, "confidence": None, "kind": None}
        for row in rows
    ]
    head = {
        "format": 1,
        "study": "s",
        "digest": DIGEST,
        "reader": rows[0]["reader"],
        "groups": {"radiologist": rows[0]["group_radiologist"] == "yes"},
    }
    return json.dumps(head | {"attempts": [{"attempt": 1, "sequence": 1, "answers": answers}]})


def test_three_kinds_of_files_give_the_same_judgement(tmp_path: Path) -> None:
    key, rows = pairs()
    server = write(tmp_path / "server.csv", [row | {"received": "2026-01-01T00:00:00Z"} for row in rows])
    server.write_text("# simulated readers\n" + server.read_text())
    judged = judge(read_answers([server]), key, protocol="pair2afc")
    assert (
        judged["right"].tolist() == [1, 0, 1, 0, 0, 0] and judged["set"].eq("progan").all() and list(judged.columns) == [*JUDGED, "group_radiologist"]
    )

    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "a.json").write_text(static_file(rows[:3]))
    (folder / "a-halfway.json").write_text(static_file(rows[:2]))  # the same answers, downloaded before
    write(folder / "b.csv", rows[3:])
    pd.testing.assert_frame_equal(judge(read_answers([folder]), key, protocol="pair2afc"), judged)

    tidy = judged[["reader", "question", "right", "group_radiologist"]].astype({"right": int})
    others = judge(read_answers([write(tmp_path / "tidy.csv", tidy.to_dict("records"))]), NO_KEY, protocol="pair2afc")
    assert others[["reader", "attempt", "question", "right", "group_radiologist"]].equals(
        judged[["reader", "attempt", "question", "right", "group_radiologist"]]
    )

    again = write(tmp_path / "again.csv", read_answers([server]).to_dict("records"))
    pd.testing.assert_frame_equal(judge(read_answers([again]), key, protocol="pair2afc"), judged)


Change = Callable[[list[dict[str, object]]], object]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: [row.update(age=40) for row in rows], r"The column `age` is unknown \(.*csv, header\)"),
        (lambda rows: [row.pop("zoom") for row in rows], r"The column `zoom` is missing"),
        (lambda rows: rows[1].update(question="two"), r"`question` is `two` \(.*csv, row 3\)"),
        (lambda rows: rows[1].update(attempt=0), r"`attempt` is `0` \(.*row 3\)"),
        (lambda rows: rows[2].update(choice="both"), r"`choice` is `both` \(.*row 4\)"),
        (lambda rows: rows[2].update(confidence=6), r"`confidence` is `6`.*1 to 5"),
        (lambda rows: rows[2].update(confidence="inf"), r"`confidence` is `inf`"),
        (lambda rows: rows[2].update(ms="nan"), r"`ms` is `nan`"),
        (lambda rows: rows[2].update(first="../../etc"), r"`first` is no image of a study"),
        (lambda rows: rows[2].update(digest="e" * 64), r"another study than those before \(.*row 4\)"),
        (lambda rows: rows.append(rows[0] | {"choice": "right"}), r"two answers of reader a, attempt 1, question 1 \(.*row 8\)"),
        (lambda rows: rows[1].update(group_radiologist="no"), r"The groups of reader a change \(.*row 3\)"),
        (lambda rows: rows[1].update(group_radiologist="maybe"), r"`group_radiologist` is `maybe`"),
        (lambda rows: rows[1].update(reader=""), r"`reader` is empty"),
        (lambda rows: rows[1].update(kind="blob or smear"), r"`kind` is `blob or smear`, but no artefact was seen \(.*row 3\)"),
        (lambda rows: rows[1].update(first=image(99)), r"The study has no image 0+63 \(reader a, attempt 1, question 2\)"),
        (lambda rows: rows[1].update(first=image(2)), r"`left` does not fit these images"),
        (lambda rows: rows[1].update(choice="seen"), r"`seen` does not fit"),
        (lambda rows: rows[1].update(choice="yes"), r"`yes` does not fit"),
        (lambda rows: rows.clear(), r"column `reader` is missing|cannot be read|is missing"),
    ],
)
def test_a_broken_file_is_a_sentence(tmp_path: Path, change: Change, sentence: str) -> None:
    key, rows = pairs()
    change(rows)
    with pytest.raises(LookalikeError, match=sentence):
        judge(read_answers([write(tmp_path / "answers.csv", rows)]), key, protocol="pair2afc")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"format": 2}',
        '{"format": 1, "groups": {}, "attempts": [{"attempt": 1}]}',
        '{"format": 1, "groups": [], "attempts": []}',
        "\udce4",
        "[" * 100_000,
    ],
)
def test_a_broken_download_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answers.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(LookalikeError, match=r"is not one of answers .*answers\.json"):
        read_answers([path])


def test_what_is_no_table_and_whose_answers_are_no_peoples_is_a_sentence(tmp_path: Path) -> None:
    _, rows = pairs()
    path = write(tmp_path / "Answers.CSV", rows)
    whole = path.read_text()
    assert len(read_answers([tmp_path])) == 6  # whatever the case of its suffix
    path.write_text(whole + '"' + "x" * 2**18)
    with pytest.raises(LookalikeError, match=r"The table cannot be read: .*Answers\.CSV.*quotation mark"):
        read_answers([path])
    path.write_text(f"# Demo | {PROGRAMS}\n{whole}")
    with pytest.raises(LookalikeError, match="answers of programs, which must not pass for those of people"):
        read_answers([path])
    assert len(read_answers([path], programs=True)) == 6


def test_answers_of_another_study_or_of_none_are_refused(tmp_path: Path) -> None:
    key, rows = pairs()
    path = write(tmp_path / "answers.csv", rows)
    with pytest.raises(LookalikeError, match="answers are of another study"):
        judge(read_answers([path]), key.assign(digest="e" * 64), protocol="pair2afc")
    judged = judge(read_answers([path]), key, protocol="pair2afc")
    plan = {"protocol": "pair2afc", "groups": ("radiologist",), "margins": (0.05,), "bootstrap": 20, "seed": 1}
    with pytest.raises(LookalikeError, match="No attempt has answers to all 4 questions"):
        analyse(judged, questions=4, **plan)
    with pytest.raises(LookalikeError, match=r"Question 3 is not one of 1 to 2 \(reader a, attempt 1\)"):
        analyse(judged, questions=2, **plan)
    with pytest.raises(LookalikeError, match="`group_radiologist` of a group that the study has not"):
        analyse(judged, questions=3, **plan | {"groups": ()})
    with pytest.raises(LookalikeError, match="There are no answers"):
        read_answers(
            [write(tmp_path / "none.csv", rows[:1]).rename(tmp_path / "x.txt").parent / "empty"]
            if (tmp_path / "empty").mkdir()
            else [tmp_path / "empty"]
        )


def test_unfinished_attempts_are_left_out_and_counted(tmp_path: Path) -> None:
    key, rows = pairs()
    judged = judge(read_answers([write(tmp_path / "answers.csv", rows[:-1])]), key, protocol="pair2afc")
    results = analyse(judged, protocol="pair2afc", questions=3, groups=("radiologist",), margins=(0.05,), bootstrap=20, seed=1)
    assert cell(results, "right", "") == 2 and cell(results, "accuracy", "exact", column="n") == 3 and cell(results, "attempts", "incomplete") == 1
    assert cell(results, "accuracy", "with incomplete attempts", column="n") == 5
    assert tabulate_readers(judged, protocol="pair2afc", questions=3)["complete"].tolist() == [1, 0]


def h19() -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """A study of 480 images after a warm-up of 4, in which two readers answer as H19's did."""
    truths, sets = ["real", "synthetic"] * 2 + ["real"] * 240 + ["synthetic"] * 240, ["real", "haarburger2019/dcgan"] * 2 + ["real"] * 240
    sets += ["haarburger2019/dcgan"] * 120 + ["haarburger2019/wgan"] * 120
    rows = []
    for reader, (real, dcgan, wgan) in (("layperson", (155, 75, 84)), ("radiologist", (176, 90, 92))):
        rows += [answer(reader, number + 1, [number], "seen", group_radiologist="") for number in range(4)]
        right = np.concatenate([np.arange(240) < real, np.arange(120) < dcgan, np.arange(120) < wgan])
        for number, hit in enumerate(right, 4):
            wrong = "synthetic" if truths[number] == "real" else "real"
            rows.append(answer(reader, number + 1, [number], truths[number] if hit else wrong, confidence=4 if hit else 1, group_radiologist=""))
    return key_of(truths, sets, warmup=4), rows


def test_h19s_counts_go_through_a_study_to_its_table(tmp_path: Path) -> None:
    key, rows = h19()
    judged = judge(read_answers([write(tmp_path / "answers.csv", rows)]), key, protocol="warmup+single")
    assert len(judged) == 960
    path = tmp_path / "readers.csv"
    tabulate_readers(judged, protocol="warmup+single", questions=480).to_csv(path, index=False)
    frame = tables.haarburger2019_table3(HAARBURGER, load_readers(path)).frame
    for number, reader in enumerate(("layperson", "radiologist"), 1):
        for name in ("real", "dcgan", "wgan", "all"):
            pd.testing.assert_frame_equal(
                frame.loc[[f"this run, reader {number}, {name}"]].reset_index(drop=True), frame.loc[[f"{reader}, {name}"]].reset_index(drop=True)
            )
    counts = load_readers(path).query("set == 'all'").set_index("reader")[["TR", "FR", "TS", "FS"]]
    assert counts.loc["layperson"].tolist() == [155, 81, 159, 85]

    results = analyse(judged, protocol="warmup+single", questions=480, groups=("radiologist",), margins=(0.1,), bootstrap=50, seed=1)
    assert cell(results, "d_prime", "pooled") > 0.9 and cell(results, "accuracy", "exact", "set haarburger2019/wgan", "n") == 240
    # the surer a reader is, the more often right: scores tell more than choices
    assert cell(results, "auc", "Obuchowski-Rockette") > cell(results, "accuracy", "exact")
    shown = tables.dumont2021_readers({"patches": (results, load_readers(path))})
    lines = {(row, what): dict(zip(shown.frame.columns, cells, strict=True)) for row, what, cells in tables.display(shown)}
    assert lines["patches, reader 1", "value"]["TR"] == "155" and lines["patches, reader 1", "value"]["share right"] == "0.654"
    assert (
        lines["patches, all (2 readers)", "value"]["P above"] == "0.2500" and lines["patches, all (2 readers)", "value"]["P within 10 points"] != ""
    )


def readers_of_pairs() -> pd.DataFrame:
    """24 readers of 12 pairs, who differ and learn: tidy, as anyone's table."""
    random = np.random.default_rng(3)
    questions = np.arange(12)
    levels = random.normal(0.4, 0.9, 24)
    right = random.random((24, 12)) < 1 / (1 + np.exp(-(levels[:, None] + 0.2 * (questions - 5.5))))
    return pd.DataFrame(
        {"reader": [f"r{r:02}"], "question": [q + 1], "right": [int(right[r, q])], "group_radiologist": ["yes" if r < 12 else "no"]}
        for r in range(24)
        for q in questions
    ).map(lambda cell: cell[0])


def test_results_of_pairs_are_those_of_independent_calls(tmp_path: Path) -> None:
    tidy = readers_of_pairs()
    judged = judge(read_answers([write(tmp_path / "tidy.csv", tidy.to_dict("records"))]), NO_KEY, protocol="pair2afc")
    results = analyse(judged, protocol="pair2afc", questions=12, groups=("radiologist",), margins=(0.1,), bootstrap=4000, seed=1)
    matrix = tidy.pivot(index="reader", columns="question", values="right").to_numpy()
    shares, n = matrix.mean(axis=1), matrix.size
    assert cell(results, "accuracy_sd", "attempts") == pytest.approx(shares.std(ddof=1))
    assert cell(results, "d_prime", "readers") == pytest.approx(2**0.5 * stats.norm.ppf((shares.mean() * n + 0.5) / (n + 1)))
    assert cell(results, "accuracy", "readers", column="p") == pytest.approx(stats.ttest_1samp(shares, 0.5).pvalue)
    assert cell(results, "cochran_questions", "attempts") == pytest.approx(cochrans_q(matrix).pvalue)
    counts = np.bincount(matrix.sum(axis=1), minlength=13)
    assert cell(results, "chi_square", "raw") == pytest.approx(stats.chisquare(counts, 24 * stats.binom.pmf(np.arange(13), 12, 0.5)).pvalue)
    pooled = sm.Logit(matrix.ravel(), sm.add_constant(np.tile(np.arange(12.0), 24))).fit(disp=0).params[1]
    assert cell(results, "learning", "mixed") == pytest.approx(pooled, rel=0.3) and cell(results, "learning", "mixed", column="low") > 0
    draws = shares[np.random.default_rng(1).integers(24, size=(4000, 24))].mean(axis=1)
    for column, end in zip(("low", "high"), np.quantile(draws, [0.025, 0.975]), strict=True):
        assert cell(results, "accuracy", "bootstrap", column=column) == pytest.approx(end, abs=0.01)  # of answers, it would be .03 off
    both = stats.mannwhitneyu(shares[:12], shares[12:], method=stats.PermutationMethod(20_000, rng=np.random.default_rng(1))).pvalue
    assert cell(results, "mann_whitney_groups", "first attempts", "radiologist") == pytest.approx(both, abs=0.02)


def test_results_of_single_images_are_those_of_independent_calls(tmp_path: Path) -> None:
    """12 readers of 60 images of 15 patients, whose images look alike."""
    random = np.random.default_rng(5)
    truth = np.repeat([0, 1], 30)
    patients = np.repeat(np.arange(15), 4)
    evidence = truth + random.normal(0, 1, 15)[patients] + random.normal(0, 0.7, (12, 60))
    choice = (evidence > 0.7).astype(int)
    confidence = 1 + np.minimum(4, (4 * np.abs(evidence - 0.7)).astype(int))
    rows = [
        {"reader": f"r{r:02}", "question": i + 1, "image": f"i{i}", "patient": f"p{patients[i]}", "truth": ("real", "synthetic")[truth[i]],
         "right": int(choice[r, i] == truth[i]), "confidence": confidence[r, i]}
        for r in range(12) for i in range(60)
    ]  # fmt: skip
    judged = judge(read_answers([write(tmp_path / "tidy.csv", rows)]), NO_KEY, protocol="single")
    results = analyse(judged, protocol="single", questions=60, groups=(), margins=(0.1,), bootstrap=2000, seed=1)
    hits, alarms = (stats.norm.ppf((choice[:, truth == kind].sum(axis=1) + 0.5) / 31) for kind in (1, 0))
    for measure, values in (("d_prime", hits - alarms), ("criterion", -(hits + alarms) / 2)):
        assert cell(results, measure, "readers") == pytest.approx(values.mean())
        assert cell(results, measure, "readers", column="p") == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    scores = np.where(choice == 1, confidence, -confidence)
    assert cell(results, "auc", "bootstrap") == pytest.approx(np.mean([roc_auc_score(truth, own) for own in scores]))
    drawn = []
    for _ in range(300):
        images = np.concatenate([np.flatnonzero(patients == patient) for patient in random.integers(15, size=15)])
        readers = random.integers(12, size=12)
        if 0 < truth[images].sum() < len(images):
            drawn.append(np.mean([roc_auc_score(truth[images], scores[reader, images]) for reader in readers]))
    for column, end in zip(("low", "high"), np.quantile(drawn, [0.025, 0.975]), strict=True):
        assert cell(results, "auc", "bootstrap", column=column) == pytest.approx(end, abs=0.04)


def test_few_readers_get_no_interval_that_takes_them_as_many(tmp_path: Path) -> None:
    tidy = readers_of_pairs()
    few = tidy[tidy["reader"] < "r09"]
    judged = judge(read_answers([write(tmp_path / "tidy.csv", few.to_dict("records"))]), NO_KEY, protocol="pair2afc")
    results = analyse(judged, protocol="pair2afc", questions=12, groups=("radiologist",), margins=(0.1,), bootstrap=100, seed=1)
    for measure, definition in (("accuracy", "mixed"), ("accuracy", "bootstrap"), ("learning", "mixed")):
        assert math.isnan(cell(results, measure, definition, column="low")) and not math.isnan(cell(results, measure, definition)), definition
    assert cell(results, "accuracy", "readers", column="low") > 0


def test_artefacts_by_view_and_kind(tmp_path: Path) -> None:
    key = key_of(["synthetic"] * 100, ["progan"] * 100).assign(view=["CC"] * 50 + ["MLO"] * 50)
    rows = [
        answer("a", n + 1, [n], "yes" if n % 50 < (3 if n < 50 else 20) else "no", kind="blob or smear" if n % 50 < (3 if n < 50 else 20) else "")
        for n in range(100)
    ]
    judged = judge(read_answers([write(tmp_path / "answers.csv", rows)]), key, protocol="artefacts")
    results = analyse(judged, protocol="artefacts", questions=100, groups=(), margins=(0.05,), bootstrap=20, seed=1)
    exact = stats.binomtest(20, 50).proportion_ci(method="exact")
    assert cell(results, "artefact_share", "exact", "view MLO") == 0.4 and cell(
        results, "artefact_share", "exact", "view MLO", "low"
    ) == pytest.approx(exact.low)
    assert cell(results, "artefact_share", "exact", "view CC", "p") == pytest.approx(stats.fisher_exact([[3, 47], [20, 30]]).pvalue)
    table = tables.artefacts(results)
    assert table.frame.loc[("view CC", "value"), "blob or smear"] == pytest.approx(0.06) and "1 reader saw" in table.caption
    assert verdicts(results)[0].startswith("Obvious artefacts were seen in 23.0 % of 100 answers")
    assert tables.summary(results).frame.loc[("Images with an artefact", "value"), "value"] == pytest.approx(0.23)
    assert tabulate_readers(judged, protocol="artefacts", questions=100)["artefact"].tolist() == [23]


def test_results_and_readers_come_back_from_their_files(results_k21: pd.DataFrame, judged_k21: pd.DataFrame, tmp_path: Path) -> None:
    results_k21.to_csv(tmp_path / "results.csv", index=False)
    pd.testing.assert_frame_equal(load_results(tmp_path / "results.csv"), results_k21)
    readers = tabulate_readers(judged_k21.assign(reader=judged_k21["reader"].str.replace("-", "00")), protocol="pair2afc", questions=10)
    readers.to_csv(tmp_path / "readers.csv", index=False)
    pd.testing.assert_frame_equal(load_readers(tmp_path / "readers.csv"), readers, check_dtype=False)


def test_figure_7_counts_attempts_and_integrates_to_one(judged_k21: pd.DataFrame, tmp_path: Path) -> None:
    figure.draw(
        tabulate_readers(judged_k21, protocol="pair2afc", questions=10), tmp_path / "figure7", questions=10, groups=GROUPS, label="Simulated readers"
    )
    source = pd.read_csv(tmp_path / "figure7.source.csv", comment="#")
    bars = source[source["panel"] == "a"]
    assert bars["y"].sum() == 133 and bars["expected"].sum() == pytest.approx(133) and (bars["x"] * bars["y"]).sum() == 652
    curves = source[source["panel"] != "a"].groupby(["panel", "group"])
    assert set(curves.groups) == {("b", "radiologist"), ("b", "not radiologist"), ("c", "breast"), ("c", "not breast")}
    for name, curve in curves:
        assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(1, abs=0.02), name


def test_the_checklist_is_filled_from_the_study(tmp_path: Path) -> None:
    key, rows = h19()
    judged = judge(read_answers([write(tmp_path / "answers.csv", rows)]), key, protocol="warmup+single")
    study = ReaderStudy(protocol="warmup+single", synthetic=("haarburger2019/dcgan", "haarburger2019/wgan"), warmup=4, groups={"radiologist": "?"})
    results = analyse(judged, protocol=study.protocol, questions=480, groups=("radiologist",), margins=(0.05,), bootstrap=20, seed=1)
    text = fill_checklist(name="patches", study=study, key=key, judged=judged, results=results, label="Simulated readers")
    assert "**Simulated readers**" in text and "| Real images | CLAIM, STARD-AI | 240 of split `all` |" in text and UNKNOWN in text
    assert (
        "then 4 images with the truth told" in text
        and "median 1.0 s an answer" in text
        and "Readers tell real from synthetic" not in text.split("## Analysis")[0]
    )
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in text.splitlines() if line.startswith("|"))


def test_printed_values_of_readers_are_held_against_those_of_a_study(judged_k21: pd.DataFrame, results_k21: pd.DataFrame, tmp_path: Path) -> None:
    """K21's own answers, reconstructed, reproduce its Table 4, but for the mean that its parts contradict, and its random P values."""
    ours = reader_measures(results_k21, compare_questions(judged_k21, questions=10))
    frame = compare(KORKINOF, ours, status="study", tolerance=0.05, synthetic="", definitions={}, readers="mine").set_index("id")
    cells = frame[frame["item"] == "table3"]
    assert len(cells) == 45 and set(cells["status"]) == {"not comparable"} and (cells["difference"].abs() < 0.015).all()  # "> .99" stands as .99
    groups = frame[frame["item"] == "table4"]
    assert set(groups["status"]) == {"reproduced"} and frame.loc["table4_all", "ours"] == 652 / 1330
    assert frame.loc["table3_1_2", "file"] == "results/readers/mine/table3.csv"
    assert frame.loc["demographics_readers", "ours"] == 117 and frame.loc["demographics_board", "ours"] == 53
    assert frame.loc["artefacts_cc", "reason"].startswith("Images marked by a person: none")
    key, rows = h19()
    rows = [row | {"group_radiologist": "yes" if row["reader"] == "radiologist" else "no"} for row in rows]
    readers = tabulate_readers(
        judge(read_answers([write(tmp_path / "h19.csv", rows)]), key, protocol="warmup+single"), protocol="warmup+single", questions=480
    )
    theirs = compare(HAARBURGER, patch_reader_measures(readers), status="study", tolerance=0.05, synthetic="", definitions={})
    assert set(theirs.loc[theirs["item"] == "haarburger2019_table3", "status"]) == {"reproduced"}


def tidy(rows: list[str], header: str = "reader,question,right") -> str:
    return "\n".join([header, *rows]) + "\n"


def judged_of(folder: Path, text: str, protocol: Protocol) -> pd.DataFrame:
    path = folder / "tidy.csv"
    path.write_bytes(text.encode())
    return judge(read_answers([path]), NO_KEY, protocol=protocol)


def singles(readers: int, *, images: int = 20, mixed: bool = False, seed: int = 1) -> list[str]:
    """Answers to single images, half of them real: reader, question, right, truth and confidence; mixed: each reader has an order of their own, from the first question on."""
    random = np.random.default_rng(seed)
    rows = []
    for reader in range(readers):
        for question in range(1, images + 1):
            real = (question + reader * mixed) % 2
            rows.append(f"r{reader},{question},{random.integers(0, 2)},{'real' if real else 'synthetic'},{random.integers(1, 6)}")
    return rows


SINGLES = "reader,question,right,truth,confidence"


def results_of(
    judged: pd.DataFrame, protocol: Protocol, questions: int, groups: tuple[str, ...] = (), margins: tuple[float, ...] = (0.1,)
) -> pd.DataFrame:
    return analyse(judged, protocol=protocol, questions=questions, groups=groups, margins=margins, bootstrap=20, seed=1)


def definitions(results: pd.DataFrame, measure: str) -> set[str]:
    return set(results.loc[results["measure"] == measure, "definition"])


def test_images_are_crossed_only_where_the_file_says_so(tmp_path: Path) -> None:
    same = judged_of(tmp_path, tidy(singles(4), SINGLES), "single")
    assert set(same["set"]) == {"real", "synthetic"} and same["image"].nunique() == 20
    mixed = judged_of(tmp_path, tidy(singles(4, mixed=True), SINGLES), "single")
    assert mixed["image"].nunique() == 80
    # the same images in another order, which only the file can tell
    rows = [f"{row},{(int(row.split(',')[1]) + int(row[1])) % 20}" for row in singles(4, mixed=True)]
    named = judged_of(tmp_path, tidy(rows, f"{SINGLES},image"), "single")
    assert named["image"].nunique() == 20
    for judged, crossed in ((same, True), (mixed, False), (named, True)):
        found = results_of(judged, "single", 20)
        assert ("readers and images" in definitions(found, "accuracy")) == crossed == ("Obuchowski-Rockette" in definitions(found, "auc"))
        assert verdicts(found)[0].count(f"by {widest(found)}") == 1
    with pytest.raises(LookalikeError, match=r"An image is real here and not there \(reader r0, attempt 1, question 1\)"):
        judged_of(tmp_path, tidy(singles(2, mixed=True), SINGLES).replace("confidence", "image").replace(",3\n", ",1\n"), "single")


def test_verdicts_are_drawn_by_what_is_less_certain() -> None:
    def rows(readers: float, both: float) -> pd.DataFrame:
        halves = {"exact": 0.05, "readers": readers, "readers and images": both}
        frame = pd.DataFrame(
            {"definition": list(halves), "low": [0.5 - half for half in halves.values()], "high": [0.5 + half for half in halves.values()]}
        )
        return frame.assign(measure="accuracy", group=ALL)

    assert [widest(rows(*halves)) for halves in ((0.1, 0.2), (0.2, 0.1), (0.01, np.nan), (np.nan, np.nan))] == [
        "readers and images",
        "readers",
        "readers",
        "exact",
    ]


@pytest.mark.parametrize("truths", [("real", "synthetic", ""), ("real",), ("synthetic",), ("",)])
def test_truth_that_is_not_known_is_nan(tmp_path: Path, truths: tuple[str, ...]) -> None:
    rows = [f"{reader},{q},{(q + len(reader)) % 2},{truths[q % len(truths)]},progan" for reader in ("a", "bb", "c") for q in range(1, 13)]
    text = tidy(rows, "reader,question,right,truth,set").replace("synthetic,progan", "synthetic,")
    judged = judged_of(tmp_path, text, "single")
    assert set(judged.loc[judged["truth"] == "real", "set"]) <= {"real"}
    readers = tabulate_readers(judged, protocol="single", questions=12).query("set == 'all'")
    known = readers[["TR", "FS", "TS", "FR", "d_prime"]].notna().all()
    both = {"real", "synthetic"} <= set(truths)
    assert known.tolist() == ["real" in truths] * 2 + ["synthetic" in truths] * 2 + [both]
    assert ("d_prime" in set(results_of(judged, "single", 12)["measure"])) == both
    # a pair is both
    assert (judged_of(tmp_path, text, "pair2afc")[["truth", "image"]] == "").all(axis=None)


def test_files_of_another_protocol_are_refused(tmp_path: Path) -> None:
    artefacts = tidy(["a,1,1,blob", "a,2,0,"], "reader,question,artefact,kind")
    assert judged_of(tmp_path, artefacts, "artefacts")["artefact"].tolist() == [1, 0]
    with pytest.raises(LookalikeError, match=r"`artefact` is answered, but .* pair2afc asks for `right` \(reader a, attempt 1, question 1\)"):
        judged_of(tmp_path, artefacts, "pair2afc")
    with pytest.raises(LookalikeError, match=r"`right` is answered, but .* artefacts asks for `artefact`"):
        judged_of(tmp_path, tidy(["a,1,1"]), "artefacts")
    with pytest.raises(LookalikeError, match=r"`kind` is `blob`, but no artefact was seen \(.*row 3\)"):
        judged_of(tmp_path, artefacts.replace("a,2,0,", "a,2,0,blob"), "artefacts")
    with pytest.raises(LookalikeError, match="`set` is `All`, which stands for all sets together"):
        judged_of(tmp_path, tidy(["a,1,1,synthetic,All"], "reader,question,right,truth,set"), "single")


def test_questions_are_numbered_from_one(tmp_path: Path) -> None:
    judged = judged_of(tmp_path, tidy([f"a,{q},1" for q in (1, 2, 4)]), "pair2afc")
    for use in (lambda: results_of(judged, "pair2afc", 3), lambda: tabulate_readers(judged, protocol="pair2afc", questions=3)):
        with pytest.raises(LookalikeError, match=r"Question 4 is not one of 1 to 3 \(reader a, attempt 1\)"):
            use()


def test_spreadsheets_are_read(tmp_path: Path) -> None:
    plain = tidy([f"{row},no" for row in singles(2)], f"{SINGLES},group_radiologist")
    reference = judged_of(tmp_path, plain, "single")
    lines = plain.replace("real", "Real").replace("no\n", "No\n").splitlines()
    for separator in ",;\t":
        text = "\ufeff" + "\r\n".join([lines[0].upper(), *lines[1:], ",,,,,", ""]).replace(",", separator)
        pd.testing.assert_frame_equal(judged_of(tmp_path, text, "single"), reference)
    with pytest.raises(
        LookalikeError, match=r"The column `age` is unknown .*Columns are reader, question, right \(of artefacts: artefact and kind\)"
    ):
        judged_of(tmp_path, tidy(["a,1,1,40"], "reader,question,right,age"), "pair2afc")
    with pytest.raises(LookalikeError, match=r"The answer is missing: `right` is empty \(.*row 3\). Remove the row, or fill it"):
        judged_of(tmp_path, tidy(["a,1,1", "a,2,"]), "pair2afc")


def test_names_of_readers_come_back_as_they_are(tmp_path: Path) -> None:
    names = ["NA", "nan", "null", "a#3", "001"]
    judged = judged_of(tmp_path, tidy([f"{name},{q},{q % 2}" for name in names for q in (1, 2)]), "pair2afc")
    readers = tabulate_readers(judged, protocol="pair2afc", questions=2)
    (tmp_path / "readers.csv").write_text("# Simulated readers\n" + readers.to_csv(index=False))
    found = load_readers(tmp_path / "readers.csv")
    assert sorted(found["reader"]) == sorted(names) and found["n"].tolist() == [2] * 5


def test_readers_who_agree_on_every_question(tmp_path: Path) -> None:
    """No verdict on readers, whose scatter nothing shows; Conover's P values are at their limits."""
    judged = judged_of(tmp_path, tidy([f"{name},{q},{int(q > 3)}" for name in "abcde" for q in range(1, 11)]), "pair2afc")
    conover = compare_questions(judged, questions=10).set_index(["first", "second"])["p"]
    assert conover[1, 4] == 0 and conover[1, 2] == conover[4, 5] == 1
    first, second = verdicts(results_of(judged, "pair2afc", 10))
    assert "70.0 % right, 55.4 to 82.1 %, P = 0.0066 for these readers, and no others, their answers taken as independent" in first
    assert "50 independent answers" in second
    # the same share by other answers, all images seen by all
    rows = [f"r{n},{q},{int((q + n) % 4 > 0)},{'real' if q % 2 else 'synthetic'}" for n in range(4) for q in range(1, 21)]
    found = results_of(judged_of(tmp_path, tidy(rows, "reader,question,right,truth"), "single"), "single", 20)
    assert "for these readers, and no others" in verdicts(found)[0]


def test_adjusted_p_values_are_of_one_family(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    rows = [
        f"r{n},{a},{q},{int(random.random() < (0.62 if n < 20 else 0.5))},{'yes' if n < 20 else 'no'},c{q},{'MLO' if q % 2 else 'CC'}"
        for n in range(40)
        for a in ((1, 2) if n < 5 else (1,))
        for q in range(1, 11)
    ]
    judged = judged_of(tmp_path, tidy(rows, "reader,attempt,question,right,group_radiologist,class,view"), "pair2afc")
    found = results_of(judged, "pair2afc", 10, ("radiologist",))
    own = found[(found["measure"] == "accuracy") & (found["definition"] == "readers")].set_index("group")
    assert own.loc[["all", "first attempts", "repeats"], "p_holm"].isna().all() and own.loc[["first attempts", "repeats"], "p"].notna().all()
    for family in (["radiologist", "not radiologist"], [f"class c{q}" for q in range(1, 11)], ["view CC", "view MLO"]):
        assert own.loc[family, "p_holm"].tolist() == pytest.approx(printed.holm(own.loc[family, "p"]).tolist())


def test_crossed_designs_are_judged_by_readers_and_images(tmp_path: Path) -> None:
    """Images that nearly all readers get wrong, or right: the readers' shares are alike, and say nothing of other images."""
    random = np.random.default_rng(3)
    hard = random.permutation(np.repeat([0.05, 0.95], [22, 18]))
    rows = [f"r{n},{q + 1},{int(random.random() < hard[q])},{'real' if q % 2 else 'synthetic'}" for n in range(11) for q in range(40)]
    found = results_of(judged_of(tmp_path, tidy(rows, "reader,question,right,truth"), "single"), "single", 40)
    narrow, wide = ([cell(found, "accuracy", name, column=end) for end in ("low", "high")] for name in ("readers", "readers and images"))
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0]) and cell(found, "accuracy", "readers", column="p") < 0.05
    assert cell(found, "equivalence", "readers and images 0.1") > 0.05 > cell(found, "equivalence", "readers 0.1")
    assert verdicts(found)[0].endswith("by readers and images. That is no proof of guessing either.")
    assert f"chance of {cell(found, 'power', 'readers 0.1'):.2f}" in verdicts(found)[1]
    assert not {"best_attempt", "high_attempts", "high_by_chance", "high_any_by_chance"} & set(found["measure"])
    # a share does not leave [0, 1], and few readers have no P of the mixed model
    assert (found.loc[found["measure"] == "accuracy", ["low", "high"]].stack().between(0, 1)).all()
    few = results_of(judged_of(tmp_path, tidy(rows[:160], "reader,question,right,truth"), "single"), "single", 40)
    assert math.isnan(cell(few, "accuracy", "mixed", column="p")) and not math.isnan(cell(found, "accuracy", "mixed", column="p"))


def test_a_first_attempt_left_unfinished_is_no_first_attempt(tmp_path: Path) -> None:
    rows = [f"{name},{attempt},{q},{q % 2}" for name, attempt, to in (("a", 3, 2), ("a", 4, 4), ("b", 7, 4)) for q in range(1, to + 1)]
    found = results_of(judged_of(tmp_path, tidy(rows, "reader,attempt,question,right"), "pair2afc"), "pair2afc", 4)
    assert [cell(found, "attempts", "complete", group) for group in (ALL, "first attempts", "repeats")] == [2, 1, 1]
    assert cell(found, "attempts", "incomplete") == 1


def test_missing_confidence_leaves_the_design_crossed(tmp_path: Path) -> None:
    rows = [row if not row.startswith("r0,") and not row.startswith("r1,3,") else row[:-1] for row in singles(4)]
    found = results_of(judged_of(tmp_path, tidy(rows, SINGLES), "single"), "single", 20)
    auc = found[found["measure"] == "auc"].set_index("definition")
    assert set(auc.index) == {"Obuchowski-Rockette", "bootstrap"} and set(auc["n"]) == {57} and set(auc["readers"]) == {3}
    assert auc["note"].str.endswith("; 1 reader without any confidence left out; 19 of 20 images were rated by all").all()
    # no real image was rated by all
    gaps = [row[:-1] if int(row.split(",")[1]) % 2 and int(row.split(",")[1]) % 4 == 2 * int(row[1]) - 1 else row for row in singles(4)]
    few = results_of(judged_of(tmp_path, tidy(gaps, SINGLES), "single"), "single", 20)
    assert definitions(few, "auc") == {"readers"} and "too few images were rated by all" in few.loc[few["measure"] == "auc", "note"].iloc[0]


def test_artefacts_of_several_readers_are_judged_by_readers(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    rows = [
        f"r{n},{q},{int(random.random() < (0.1 if q % 2 else 0.4) + 0.05 * n)},synthetic,{'CC' if q % 2 else 'MLO'}"
        for n in range(5)
        for q in range(1, 81)
    ]
    judged = judged_of(tmp_path, tidy(rows, "reader,question,artefact,truth,view"), "artefacts")
    found = results_of(judged, "artefacts", 80)
    shares = judged.groupby(["reader", "view"])["artefact"].mean().unstack()
    for definition, p in (("readers", stats.ttest_rel(shares["CC"], shares["MLO"]).pvalue), ("exact", None)):
        for view in ("view CC", "view MLO"):
            adjusted = cell(found, "artefact_share", definition, view, "p_holm")
            assert adjusted == cell(found, "artefact_share", definition, view, "p") < 0.05
            assert p is None or adjusted == pytest.approx(p)
    assert "all readers saw the same images" in found.loc[found["definition"] == "readers", "note"].iloc[0]
    low = cell(found, "artefact_share", "readers", column="low")
    assert verdicts(found)[0].endswith("% by readers.") and f"{100 * low:.1f} to" in verdicts(found)[0]
