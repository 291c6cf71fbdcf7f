"""The index page: whole in itself, everything on it, nothing unescaped, and honest about a demo."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_benchmark import study
from test_tables import gap_table

from lookalike import index_page, published, tables
from lookalike.measures.compare import COLUMNS
from lookalike.utility.benchmark import study_measures

MOMENTS = ["M1", "M2", "M3", "M4", "M5"]
HOSTILE = '<script>alert("x")</script> & co'
VOID = {"meta", "img", "path", "line", "rect", "circle", "br"}


def measures() -> pd.DataFrame:
    pairs = [(a, b) for place, a in enumerate(MOMENTS) for b in MOMENTS[place:]]
    keys = [("label_mi", definition, moment, "") for definition in tables.LABEL_MI_ROWS for moment in MOMENTS]
    keys += [("pair_mi", "density_nmi", *pair) for pair in pairs]
    keys += [("coverage", "hdr", *pair) for pair in pairs if pair[0] != pair[1]]
    keys += [("coverage_mean", "hdr", "all pairs", "")]
    keys += [("spectrum", "log10_power_ratio", band, "") for band in ("low", "mid", "high")]
    frame = pd.DataFrame(keys, columns=["measure", "definition", "first", "second"])
    for column, value in zip(tables.STATISTICS, (0.80, 0.75, 0.85, 0.78, 0.70, 0.84, 0.92, 0.88, 0.96), strict=True):
        frame[column] = value
    frame.loc[frame["measure"] == "label_mi", list(tables.STATISTICS)] *= 0.05
    return frame.assign(ratio=0.85, n_real=10, n_synthetic=10, n_patients=5, note="")[list(COLUMNS)]


FOLDER = Path(__file__).parents[1] / "config" / "published"
KORKINOF, DUMONT, HAARBURGER = (published.load(FOLDER / f"{name}.yaml") for name in ("korkinof2021", "dumont2021", "haarburger2019"))
NO_GAPS = pd.DataFrame(columns=["name", "value", "low", "high", "ceiling", "ceiling_low", "ceiling_high"])


def overview(status: str, table: pd.DataFrame, *papers: published.Published, gaps: pd.DataFrame = NO_GAPS) -> index_page.Overview:
    record = {
        "file": "results/x.csv",
        "rule": "x",
        "task": {"code": "00ff"},
        "inputs": {"a": "ab" * 32, "b": None},
        "seconds": 1.5,
        "finished": "now",
    }
    return {
        "papers": [
            {"published": paper, "status": status, "label": f"Demo: {HOSTILE}", "subject": HOSTILE, "remark": f"Begun so: {paper.section}"}  # type: ignore[typeddict-item]
            for paper in papers or (KORKINOF,)
        ],
        "title": f"How real is {HOSTILE}?",
        "measures": table,
        "gaps": gaps,
        "kinetics": NO_GAPS,
        "readers": {},
        "definitions": {"coverage": "hdr", "pair_mi": "density_nmi"},
        "cohort": {"Files found": HOSTILE},
        "training": {},
        "settings": {"Seed": "1"},
        "provenance": [record],
    }


def page(folder: Path, status: str) -> str:
    table = measures()
    facts = overview(status, table)
    comparison = published.compare(
        KORKINOF, table, status=facts["papers"][0]["status"], tolerance=0.05, synthetic=HOSTILE, definitions=facts["definitions"]
    )
    tables.write(tables.korkinof2021_table2(table), folder / "table2", label=HOSTILE)
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(folder / "figure6.png")
    items: list[index_page.Item] = [
        {"id": "figure6", "section": "korkinof2021", "picture": folder / "figure6.png", "files": [HOSTILE]},
        {"id": "table2", "section": "korkinof2021", "table": folder / "table2.html"},
        {"id": "flow", "section": "cohort", "title": HOSTILE, "caption": HOSTILE, "picture": folder / "figure6.png"},
    ]
    index_page.write_index(items, comparison, facts, folder / "index.html")
    return (folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def demo(tmp_path: Path) -> str:
    return page(tmp_path, "demo")


class Page(HTMLParser):
    """Tags, addresses, ids and text of a page whose tags must nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_page_needs_nothing_from_elsewhere(demo: str) -> None:
    parsed = Page(demo)
    assert not parsed.tags & {"script", "link", "iframe", "object", "embed"}
    targets = [address for address in parsed.addresses if not address.startswith("data:image/png;base64,")]
    assert {target[0] for target in targets} == {"#"}
    assert {target[1:] for target in targets} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    style = re.search(r"<style>(.*?)</style>", demo, flags=re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_every_item_and_check_is_on_the_page(demo: str) -> None:
    words = " ".join(Page(demo).words)
    for item in KORKINOF.items.values():
        assert item.title in words
        for value in item.values:
            assert value.cell in words
    assert "Reader study: no answers in this run." in words
    for row in published.checks(KORKINOF):
        assert str(row["cell"]) in words


def test_pictures_are_embedded_whole(demo: str, tmp_path: Path) -> None:
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', demo)
    assert len(pictures) == 2
    assert base64.b64decode(pictures[0]) == (tmp_path / "figure6.png").read_bytes()


def test_text_is_escaped(demo: str) -> None:
    assert "<script" not in demo
    assert demo.count("&lt;script&gt;") >= 6
    # our own table is not escaped twice
    assert '<table class="paper">' in demo


def test_demo_has_a_banner_and_nothing_green(demo: str, tmp_path: Path) -> None:
    chips = set(re.findall(r'class="chip ([a-z-]+)"', demo))
    assert chips == {"not-comparable", "consistent", "inconsistent"}
    assert 'class="banner"' in demo
    study = page(tmp_path, "study")
    assert 'class="chip reproduced"' in study
    assert 'class="banner"' not in study


def test_answer_is_computed_from_the_measures() -> None:
    table = measures()
    worst = (table["measure"] == "coverage") & (table["first"] == "M2") & (table["second"] == "M4")
    table.loc[worst, ["value", "low", "high"]] = (0.30, 0.21, 0.41)
    table.loc[(table["measure"] == "spectrum") & (table["first"] == "high"), ["value", "low", "high"]] = (-1.0, -2.0, 0.0)
    coverage, label_mi, spectrum = index_page.answer(table, definitions={"coverage": "hdr"}, gaps=NO_GAPS, kinetics=NO_GAPS, readers={})
    assert coverage.figure == "80 %"
    assert coverage.sentences[0] == "Lowest: variance and kurtosis, 0.30."
    assert "by 0.92 [0.88, 0.96], so 85 % of the ceiling; the two ranges meet in 0 of 10 pairs" in coverage.sentences[2]
    assert label_mi.figure == "0.040 nats"
    assert spectrum.figure == "× 0.10"
    assert "[0.01, 1.00]" in spectrum.sentences[0]
    assert [len(card.marks) for card in (coverage, label_mi, spectrum)] == [10, 5, 3]
    mark = coverage.marks[0]
    assert (mark.at, mark.ceiling) == (0.78, 0.92)


@pytest.mark.parametrize(("ratio", "images", "said"), [(0.9, 1000, False), (1.06, 1000, True), (0.9, 30, True), (np.nan, 1000, False)])
def test_coverage_that_can_flatter_says_so(ratio: float, images: int, said: bool) -> None:
    card = index_page.answer(
        measures().assign(ratio=ratio, n_synthetic=images), definitions={"coverage": "hdr"}, gaps=NO_GAPS, kinetics=NO_GAPS, readers={}
    )[0]
    assert (index_page.NO_MERIT in card.sentences) == said


def test_matched_stands_between_ours_and_the_ceiling(demo: str) -> None:
    article = re.search(r'<article id="figure6">.*?</article>', demo, flags=re.S)
    assert article is not None
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', article[0]) == [
        "Cell",
        "Printed",
        "Ours",
        "95 % interval",
        "Matched",
        "Ceiling",
        "Status",
    ]
    assert re.findall(r'<td class="[ni]">([^<]*)</td>', article[0])[:5] == ["0.80", "0.80", "[0.75, 0.85]", "0.78", "0.92"]
    assert index_page.NO_MERIT in demo


def test_comparison_may_come_from_a_file_with_empty_cells(tmp_path: Path) -> None:
    facts = overview("demo", measures())
    made = published.compare(KORKINOF, measures(), status="demo", tolerance=0.05, synthetic="s", definitions=facts["definitions"])
    made.to_csv(tmp_path / "comparison.csv", index=False)
    pages = []
    for comparison in (made, pd.read_csv(tmp_path / "comparison.csv", keep_default_na=False)):
        index_page.write_index([{"id": "figure6", "section": "korkinof2021"}], comparison, facts, tmp_path / "index.html")
        pages.append((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]


def test_answer_without_measures_is_empty_and_the_page_still_stands() -> None:
    assert index_page.answer(measures().iloc[:0], definitions={"coverage": "hdr"}, gaps=NO_GAPS, kinetics=NO_GAPS, readers={}) == []
    blank = measures().assign(value=np.nan)
    assert index_page.answer(blank, definitions={"coverage": "hdr"}, gaps=NO_GAPS, kinetics=NO_GAPS, readers={}) == []


def test_answer_without_ceilings_says_so() -> None:
    table = measures()
    table[[name for name in tables.STATISTICS if name != "value"]] = np.nan
    for card in index_page.answer(table, definitions={"coverage": "hdr"}, gaps=NO_GAPS, kinetics=NO_GAPS, readers={}):
        assert "nan" not in " ".join((card.figure, *card.sentences, *card.ends))
        assert "Too few patients for an interval or a ceiling." in card.sentences
        assert card.marks == ()


def gaps(**changes: float) -> pd.DataFrame:
    rows = [
        {"name": name, "value": value, "low": value - 0.02, "high": value + 0.03}
        for name, value in (("chest, cpdgan", 0.02), ("brain, progan", 0.14))
    ]
    return pd.DataFrame(rows).assign(ceiling=0.001, ceiling_low=-0.01, ceiling_high=0.012).assign(**changes)


def test_a_demos_convergence_is_in_thousands(tmp_path: Path) -> None:
    settings, runs = study()
    mine = study_measures(settings, runs.assign(stopped_nimg=7_400), draws=5, seed=1)
    comparison = published.compare(DUMONT, mine, status="demo", tolerance=0.05, synthetic="", definitions={})
    index_page.write_index([], comparison, overview("demo", measures().iloc[:0], DUMONT), tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "7 thousand" in text and 'class="key"' not in text


def test_what_a_classifier_is_worth_is_told_with_interval_and_ceiling() -> None:
    (card,) = index_page.answer(measures().iloc[:0], definitions={"coverage": "hdr"}, gaps=gaps(), kinetics=NO_GAPS, readers={})
    assert card.figure == "0.02 to 0.14"
    assert "brain, progan, with the 95 % interval [0.120, 0.170]" in card.sentences[0]
    assert "differ by 0.001 [−0.010, 0.012]" in card.sentences[1]
    assert [mark.text for mark in card.marks] == ["chest, cpdgan: 0.020 against 0.001", "brain, progan: 0.140 against 0.001"]
    assert card.marks[0].at < card.marks[1].at
    close = gaps().assign(value=[0.021, 0.022])
    assert index_page.answer(measures().iloc[:0], definitions={"coverage": "hdr"}, gaps=close, kinetics=NO_GAPS, readers={})[0].figure == "0.02"
    (one,) = index_page.answer(measures().iloc[:0], definitions={"coverage": "hdr"}, gaps=gaps().iloc[1:], kinetics=NO_GAPS, readers={})
    assert one.figure == "0.140" and "of them" not in one.unit
    (bare,) = index_page.answer(measures().iloc[:0], definitions={"coverage": "hdr"}, gaps=gaps(ceiling=np.nan), kinetics=NO_GAPS, readers={})
    assert "Too few patients for an interval or a ceiling." in bare.sentences


def test_enhancement_is_told_beside_real_patches() -> None:
    kinetics = gaps(ceiling=0.81, ceiling_low=0.6, ceiling_high=0.95).assign(
        name=["dcgan", "wgan"], value=[0.9, 0.55], low=[0.85, 0.5], high=[0.95, 0.6]
    )
    (card,) = index_page.answer(measures().iloc[:0], definitions={"coverage": "hdr"}, gaps=NO_GAPS, kinetics=kinetics, readers={})
    assert card.figure == "0.55 to 0.90" and card.sentences[0] == "dcgan: 0.90 [0.85, 0.95]; wgan: 0.55 [0.50, 0.60]."
    assert card.sentences[1] == "Real patches of other patients: 0.81 [0.60, 0.95]."


@pytest.mark.parametrize("papers", [(KORKINOF,), (DUMONT,), (KORKINOF, DUMONT)])
def test_a_page_of_either_paper_or_both(papers: tuple[published.Published, ...], tmp_path: Path) -> None:
    mine = {"korkinof2021": measures(), "dumont2021": study_measures(*study(), draws=5, seed=1)}
    parts = [
        published.compare(
            paper, mine[paper.section], status="demo", tolerance=0.05, synthetic="s", definitions={"pair_mi": "density_nmi", "coverage": "hdr"}
        )
        for paper in papers
    ]
    pd.concat(parts).to_csv(tmp_path / "comparison.csv", index=False)
    tables.write(tables.dumont2021_summary(mine["dumont2021"], beginning=""), tmp_path / "summary", label="")
    items: list[index_page.Item] = [{"id": "set_gap", "section": "other", "title": "Gap", "table": tables.auc_gap(gap_table())}]
    if DUMONT in papers:
        items.append({"id": "dumont2021_summary", "section": "dumont2021", "caption": "Copying: none", "table": tmp_path / "summary.html"})
    table = measures() if KORKINOF in papers else measures().iloc[:0]
    facts = overview("demo", table, *papers, gaps=gaps() if DUMONT in papers else NO_GAPS)
    index_page.write_index(items, pd.read_csv(tmp_path / "comparison.csv", keep_default_na=False), facts, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    parsed = Page(text)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {address[1:] for address in parsed.addresses if address.startswith("#")} <= set(parsed.ids)
    words = " ".join(parsed.words)
    assert all(f"All {len(part)} rows of the comparison" in words for part in parts)
    for paper in (KORKINOF, DUMONT):
        shown = paper in papers
        assert (paper.section in parsed.ids) == shown
        assert (f"checks_{paper.section}" in parsed.ids) == shown
        assert all((item.title in words) == shown for item in paper.items.values())
    assert ("What is a classifier trained on synthetic images worth?" in words) == (DUMONT in papers)
    assert all((f"Begun so: {paper.section}" in words) == (paper in papers) for paper in (KORKINOF, DUMONT))
    # the legend speaks of the ceilings that are drawn, and of no other
    legend = text[text.index('<div class="key">') : text.index('<div class="cards')]
    assert ("one half of the patients" in legend) == (KORKINOF in papers)
    assert ("two trainings on the same real images" in legend) == (DUMONT in papers)
    assert ("dense in synthetic images too" in words) == (KORKINOF in papers)
    # 7.4 million is no count of thousands; a demo's 7,400 images are
    assert ("7.4" in words) == (DUMONT in papers)
    assert "pleural effusion (n = 31)" in words
    assert ("Copying: none" in words) == (DUMONT in papers)
    # a label that both papers share is said once above, and once at the foot
    assert text.count('class="banner"') == 1


def test_a_page_of_h19_shows_its_readers_as_its_own_and_its_claims_without_numbers(tmp_path: Path) -> None:
    comparison = published.compare(HAARBURGER, measures().iloc[:0], status="study", tolerance=0.05, synthetic="", definitions={})
    comparison.to_csv(tmp_path / "comparison.csv", index=False)
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(tmp_path / "enhancement.png")
    items: list[index_page.Item] = [
        {"id": "haarburger2019_table3", "section": "haarburger2019", "table": tables.haarburger2019_table3(HAARBURGER)},
        {"id": "haarburger2019_enhancement", "section": "haarburger2019", "picture": tmp_path / "enhancement.png"},
    ]
    facts = overview("study", measures().iloc[:0], HAARBURGER)
    index_page.write_index(items, pd.read_csv(tmp_path / "comparison.csv", keep_default_na=False), facts, tmp_path / "index.html")
    words = " ".join(Page((tmp_path / "index.html").read_text(encoding="utf-8")).words)
    assert all(item.title in words for item in HAARBURGER.items.values())
    assert index_page.TITLES["haarburger2019_enhancement"] in words and index_page.CAPTIONS["haarburger2019_enhancement"] in words
    assert "No measurement of this run" in words and "Called strong, without a number." in words and "nan" not in words.lower().split()
