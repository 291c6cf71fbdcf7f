"""Config: one source, generated documents, mistakes in a sentence."""

from __future__ import annotations

import pytest
import yaml
from conftest import REPOSITORY

from lookalike import config
from lookalike.errors import LookalikeError


@pytest.fixture
def demo() -> dict:
    return yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())


def test_documents_do_not_drift() -> None:
    assert (REPOSITORY / "config/README.md").read_text() == config.reference(), "run make docs"
    assert (REPOSITORY / "workflow/schemas/config.schema.json").read_text() == config.schema(), "run make docs"


def test_every_key_is_described() -> None:
    for _, section in config._sections("", config.Config):
        for name, field in section.model_fields.items():
            assert field.description or config._section_of(field.annotation), f"{section.__name__}.{name}"


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("cohorts.mammography.sorce", {}, "unknown key `cohorts.mammography.sorce`: did you mean `source`?"),
        ("cohorts.mammography.pixels.bits", 9, "`cohorts.mammography.pixels.bits`: Input should be 8 or 16 (it is 9)"),
        ("generators.progan.cohort", "other", "generators.progan.cohort names `other`, which is not defined; defined are: mammography"),
        ("cohorts.mammography.pixels.levels", 2, "generators.progan has 4 stages, but its cohort's store has 2 levels"),
        ("cohorts.mammography.split", {"train": 0.9, "validation": 0.2}, "add up to more than 1"),
        ("synthetic.progan.cohort", "mammography", "give either `generator` or `cohort`"),
        ("cohorts.mammography.source.root", "", "`cohorts.mammography.source.root`: String should have at least 1 character"),
        ("generators.progan.minibatch_std_group", 5, "not a multiple of minibatch_std_group"),
    ],
)
def test_mistakes_get_a_sentence(demo: dict, path: str, value: object, sentence: str) -> None:
    *parents, last = path.split(".")
    node = demo
    for part in parents:
        node = node.setdefault(part, {})
    node[last] = value
    with pytest.raises(LookalikeError) as error:
        config.load(demo)
    assert sentence in str(error.value)


def test_branch_walks_into_lists_and_names_what_is_missing(demo: dict) -> None:
    loaded = config.load(demo).model_dump(mode="json")
    assert config.branch(loaded, "generators.progan.stages.1")["batch"] == demo["generators"]["progan"]["stages"][1]["batch"]
    assert config.branch(loaded, "cohorts.mammography.source.simulated") is True
    with pytest.raises(LookalikeError, match=r"There is no `generators\.stylegan`"):
        config.branch(loaded, "generators.stylegan")


def test_paper_overlay_is_the_published_schedule(demo: dict) -> None:
    overlay = yaml.safe_load((REPOSITORY / "config/paper.yaml").read_text())
    stages = overlay["generators"]["progan"]["stages"]
    assert [stage["channels"] for stage in stages] == [min(8192 // 2 ** (k + 1), 512) for k in range(9)]
    assert sum(stage["fade_kimg"] + stage["stable_kimg"] for stage in stages) == 12_000


def test_null_removes_what_an_overlay_cannot(demo: dict) -> None:
    demo["generators"] = {"progan": None}
    demo["synthetic"] = {"progan": None, "audit": {"cohort": "mammography", "real": "mammography"}}
    demo["korkinof2021"] = {"synthetic": "audit"}
    loaded = config.load(demo)
    assert list(loaded.generators) == [] and list(loaded.synthetic) == ["audit"]
