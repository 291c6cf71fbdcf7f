"""A checklist of what a report on readers must tell, filled as far as the files of the study know; the rest is for a person to fill in."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lookalike.config import ReaderStudy
from lookalike.readers.analysis import ALL, verdicts

UNKNOWN = "**not recorded: fill in**"
_TASKS = {
    "pair2afc": "A real and a synthetic image side by side: which is the real one",
    "single": "One image: real or synthetic",
    "warmup+single": "One image: real or synthetic, after images with the truth told",
    "artefacts": "One synthetic image: has it an obvious artefact, and of which kind",
}
_TOLD = {
    "pair2afc": "One image of a pair is real",
    "single": "Some images are real; how many, they are not told",
    "warmup+single": "Some images are real; how many, they are not told",
    "artefacts": "All images are synthetic",
}


_DESIGN = {
    "What is asked",
    "Margins of equivalence",
    "Size of the study",
    "Real images",
    "Synthetic images",
    "Views",
    "Classes",
    "Images left out by looking at them",
}
_DESIGN |= {
    "How many images are real",
    "Treatment before display",
    "What readers were told",
    "Training",
    "Order and draw",
    "Confidence",
    "Repeated attempts",
}
_DESIGN |= {"Independence of readers", "Device, screen and light"}
"""Items that are known of answers given on the page, and of no others."""


def fill_checklist(
    *, name: str, study: ReaderStudy, key: pd.DataFrame, judged: pd.DataFrame, results: pd.DataFrame, label: str, elsewhere: bool = False
) -> str:
    """`checklist.md`: a table of item, guidelines that ask for it, and what is true of this study.

    The items are those that CLAIM, STARD-AI, GRRAS and the FDA's guidance on multi-reader studies ask for, in our words.

    Args:
        name: of the study.
        study: its config.
        key: truth of its images: image, truth, set, class, view, warmup.
        judged: as `answers.judge` gives them.
        results: as `analysis.analyse` gives them.
        label: one line that says what kind of data stand behind the answers; "" = nothing to say.
        elsewhere: the answers were not given on the page of this study.
    """
    # of pairs every showing of an image is a row
    tests = key[key["warmup"] == 0].drop_duplicates(["set", "source"])
    rows = {
        "Question": [
            ("What is asked", "CLAIM, STARD-AI", _TASKS[study.protocol]),
            ("Hypothesis", "CLAIM", UNKNOWN),
            (
                "Margins of equivalence",
                "STARD-AI, FDA",
                _no_margins(study)
                or f"{_list([format(100 * margin, 'g') for margin in study.margins])} points about one half, level 0.05; whether set before reading: {UNKNOWN}",
            ),
            ("Size of the study", "CLAIM, FDA", _no_margins(study) or f"planned for {study.readers} readers; power and sample sizes: power.csv"),
            ("Registration and ethics", "STARD-AI", UNKNOWN),
        ],
        "Images": [
            ("Real images", "CLAIM, STARD-AI", f"{_counts(tests, 'real')} of split `{study.split}`" if study.protocol != "artefacts" else "none"),
            ("Synthetic images", "CLAIM", f"{_counts(tests, 'synthetic')}: {_list([f'`{own}`' for own in study.synthetic])}"),
            ("Views", "CLAIM", _values(tests, "view")),
            ("Classes", "CLAIM", _values(tests, "class") + (", as many of each" if study.balanced else "")),
            ("Images left out by looking at them", "STARD-AI", "none: drawn at random, before anybody saw them"),
            (
                "How many images are real",
                "FDA",
                "one of each pair" if study.protocol == "pair2afc" else "none" if study.protocol == "artefacts" else "half",
            ),
            (
                "Treatment before display",
                "CLAIM",
                f"of both kinds alike: floor {study.noise_floor:g} of 255, dither {study.dither:g} of 255, 16 bits; test: blinding.csv",
            ),
        ],
        "Readers": [
            ("Readers", "CLAIM, GRRAS, FDA", f"{judged['reader'].nunique()}, {len(judged.drop_duplicates(['reader', 'attempt']))} attempts"),
            *(
                (f"Readers: {group.replace('_', ' ')}", "GRRAS, FDA", f"{_said(judged, group, 'yes')} yes, {_said(judged, group, 'no')} no")
                for group in study.groups
            ),
            ("How they were found, and paid", "GRRAS", UNKNOWN),
            ("Years of experience", "GRRAS, FDA", UNKNOWN),
        ],
        "Reading": [
            ("What readers were told", "CLAIM, FDA", _TOLD[study.protocol]),
            ("Training", "FDA", f"a tutorial{f', then {study.warmup} images with the truth told' if study.warmup else ''}; no feedback after that"),
            ("Order and draw", "FDA", _order(study, tests)),
            ("Confidence", "FDA", "1 to 5" if study.confidence else "not asked"),
            ("Repeated attempts", "GRRAS", f"up to {study.attempts} a reader"),
            ("Independence of readers", "GRRAS", "no reader sees another's answers on the page; whether they talked: " + UNKNOWN),
            (
                "Device, screen and light",
                "FDA",
                "size of the screen, zoom and windowing of each answer: answers.csv; light and calibration: " + UNKNOWN,
            ),
            ("Time", "CLAIM", _time(judged)),
        ],
        "Analysis": [
            (
                "Unit of analysis",
                "CLAIM, FDA",
                "the reader, and the image too where all saw the same ones; tests that take answers as independent are named so",
            ),
            ("Missing answers", "STARD-AI", _missing(study, results)),
            ("Multiplicity", "CLAIM", "Holm over groups of readers, and over sets, classes and views, each by themselves: results.csv"),
            ("Results of each reader", "FDA", "readers.csv"),
            ("Result", "CLAIM, STARD-AI", " ".join(verdicts(results))),
            ("Funding and interests", "CLAIM, STARD-AI", UNKNOWN),
        ],
    }
    lines = [f"# Reader study {name}: checklist", ""]
    if label:
        lines += [f"**{label}**", ""]
    lines += ["Items in the words of this project, after CLAIM, STARD-AI, GRRAS and the FDA's guidance on multi-reader studies.", ""]
    for title, items in rows.items():
        lines += [
            f"## {title}",
            "",
            "| Item | Asked by | This study |",
            "|:--|:--|:--|",
            *(f"| {' | '.join(map(_cell, (item, asked, UNKNOWN if elsewhere and item in _DESIGN else text)))} |" for item, asked, text in items),
            "",
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _no_margins(study: ReaderStudy) -> str:
    return "does not apply" if study.protocol == "artefacts" else ""


def _counts(tests: pd.DataFrame, truth: str) -> str:
    return f"{(tests['truth'] == truth).sum():,}"


def _values(tests: pd.DataFrame, column: str) -> str:
    counts = tests.loc[tests[column].fillna("").astype(str) != "", column].value_counts().sort_index()
    return _list([f"{value} ({count:,})" for value, count in counts.items()]) or "none"


def _said(judged: pd.DataFrame, group: str, answer: str) -> int:
    column = f"group_{group}"
    return int(judged.loc[judged[column] == answer, "reader"].nunique()) if column in judged else 0


def _order(study: ReaderStudy, tests: pd.DataFrame) -> str:
    if study.protocol == "pair2afc":
        came = f"{_counts(tests, 'real')} real and {_counts(tests, 'synthetic')} synthetic ones came up in all attempts that were planned"
        return f"{study.questions} pairs for each attempt, drawn with replacement from at most {study.pool:,} images of each kind, of which {came}; sides by coin"
    return "the same images for every reader, in an order of each attempt's own"


def _time(judged: pd.DataFrame) -> str:
    seconds = judged["ms"].dropna() / 1000
    if seconds.empty:
        return UNKNOWN
    low, middle, high = seconds.quantile([0.25, 0.5, 0.75])
    return f"median {middle:.1f} s an answer (quartiles {low:.1f} and {high:.1f} s)"


def _missing(study: ReaderStudy, results: pd.DataFrame) -> str:
    if study.protocol == "artefacts":
        return "answers given count, whether or not a reader saw all images"
    rows = results[(results["measure"] == "attempts") & (results["group"] == ALL)].set_index("definition")["value"]
    return f"{rows['incomplete']:.0f} attempts that were not finished are left out; {rows['complete']:.0f} count"
