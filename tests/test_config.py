"""Config: one source, generated documents, mistakes in a sentence."""

from __future__ import annotations

import pickle
import re

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
        ("cohorts.mammography.pixels.levels", 2, "generators.progan reaches level 3, but its cohort's store has 2 levels (0 to 1)"),
        ("cohorts.mammography.split", {"train": 0.9, "validation": 0.2}, "add up to more than 1"),
        ("synthetic.progan.cohort", "mammography", "give either `generator` or `cohort`"),
        ("cohorts.mammography.source.root", "", "`cohorts.mammography.source.root`: String should have at least 1 character"),
        ("generators.progan.minibatch_std_group", 5, "not a multiple of minibatch_std_group"),
        ("cohorts.mammography.labels", None, "generators.progan needs labels, but cohorts.mammography.labels is missing"),
        ("cohorts.chest.labels", None, "dumont2021.benchmarks.chest needs labels, but cohorts.chest.labels is missing"),
        ("cohorts.chest.pixels.chest_wall", "left", "pixels.chest_wall and pixels.background must be `keep` for chest_xray"),
        ("dumont2021.benchmarks.chest.settings.classes_2.resolution", 20, "settings.classes_2.resolution: the cohort's store has 4, 8, 16 rows"),
        ("dumont2021.generators.cpdgan.16.labels", False, "cpdgan needs labels: set `labels: true`"),
        ("dumont2021.generators.cpdgan.16.stages", [{"channels": 8, "batch": 8}], "dumont2021.generators.cpdgan.16 reaches 4 rows"),
        ("dumont2021.generators.cpdgan.16.loss", {"kind": "hinge"}, "biggan goes with loss.kind `hinge`, and no other family does"),
        (
            "dumont2021.generators.progan.16.stages",
            [{"channels": 8, "batch": 8}, {"channels": [8, 8], "batch": 8}],
            "only the first stage's `channels`",
        ),
        ("dumont2021.benchmarks.chest.settings.classes_2.resolution", 8, "settings.classes_2: no generator has a recipe for the resolution 8"),
        ("dumont2021.benchmarks.chest.pictured", "classes_9", "chest.pictured names `classes_9`, which is not defined"),
        ("haarburger2019.cohort", "chest", "haarburger2019.cohort: `chest` must be of the kind breast_mr, with the label malignant and"),
        ("cohorts.breast.labels.names", ["benign", "normal"], "with the label malignant and benign, normal or both"),
        ("cohorts.breast.pixels.levels", 3, "haarburger2019.generators.dcgan must be of the family dcgan, with `labels: true` and 3 channels"),
        ("haarburger2019.generators.dcgan.labels", False, "dcgan needs labels: set `labels: true`"),
        ("cohorts.breast.patches.normal", 0, "labels.names has `normal`, but patches.normal is 0"),
        ("cohorts.breast.patches.grid", [16, 16, 8], "patches.grid is smaller than a patch, whose side is 32"),
        ("cohorts.breast.patches.intensity", [9, 3], "intensity must go from its lower to its upper end"),
        ("cohorts.breast.source.adapter", "duke_breast_mri", "all lesions of duke_breast_mri are malignant"),
        ("haarburger2019.generators.dcgan.loss", {"kind": "wgan_gp"}, "set `discriminator_norm: none`"),
        ("generators.progan.loss", {"kind": "wgan"}, "loss.kind `wgan` goes with dcgan only"),
        ("generators.progan", {"cohort": "breast", "stages": [{"channels": 8, "batch": 8}]}, "those of breast MR patches belong to haarburger2019"),
        ("synthetic.progan", {"cohort": "breast", "real": "mammography"}, "differ in pixels.base"),
        ("cohorts.chest.labels.names", ["edema", "edema"], "a name stands twice in `names`"),
        ("utility.classifier.size", 33, "a picture of 33 does not divide into patches of 2"),
    ],
)
def test_mistakes_get_a_sentence(demo: dict, path: str, value: object, sentence: str) -> None:
    *parents, last = path.split(".")
    node = demo
    for part in parents:
        node = node.setdefault(int(part) if part.isdigit() else part, {})
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


def test_runs_are_generators_and_synthetic_sets_of_their_own(demo: dict) -> None:
    demo["dumont2021"]["benchmarks"]["chest"]["settings"]["classes_2"]["seeds"] = 3
    plain = config.load(demo)
    whole = plain.with_runs()
    runs = {run.name: run for run in plain.runs()}
    assert len(runs) == 2 * (5 + 2)  # two generators; five settings, one of them with three seeds
    run = runs["dumont2021/chest/classes_2/progan/seed_3"]
    assert whole.generators[run.name].seed == 3 and whole.generators[run.name].cohort == run.images == "dumont2021/chest/classes_2"
    assert whole.synthetic[run.name].real == run.images and whole.level(run.name) == 2 and plain.cohort_of(run.images) == "chest"
    recipe = plain.recipes(plain.setting(run.images))["progan"]
    assert [recipe.level(stage) for stage in range(2)] == [1, 2] and recipe.channels(1) == [24, 24, 16]
    assert set(plain.generators) == {"progan"}, "the user's own are left as they are"


def test_a_kind_has_defaults_that_a_cohort_can_change() -> None:
    cohort = config.Cohort.model_validate({"kind": "chest_xray", "pixels": {"levels": 3}})
    assert cohort.pixels.fit == "stretch" and cohort.pixels.base == (4, 4) and cohort.pixels.levels == 3 and cohort.exclude.views == ("frontal",)
    assert config.Cohort.model_validate({"kind": "head_ct", "pixels": None}).pixels.chest_wall == "keep"


def test_an_overlay_that_touches_a_setting_moves_nothing(demo: dict) -> None:
    order = [run.name for run in config.load(demo).runs()]
    for names in (("dumont2021", "benchmarks"), ("dumont2021", "generators"), ("dumont2021", "benchmarks", "chest", "settings")):
        parent = demo
        for name in names[:-1]:
            parent = parent[name]
        parent[names[-1]] = dict(reversed(parent[names[-1]].items()))
    assert [run.name for run in config.load(demo).runs()] == order


def test_the_word_null_takes_away_what_null_does(demo: dict) -> None:
    """`--config 'dumont2021=null'` reaches us as a word."""
    demo |= {"dumont2021": "null", "cohorts": {**demo["cohorts"], "chest": "null", "brain": None}}
    loaded = config.load(demo)
    assert loaded.dumont2021 is None and set(loaded.cohorts) == {"mammography", "breast"}


def test_a_reader_study_goes_out_with_its_images(demo: dict) -> None:
    whole = config.load(demo)
    assert list(whole.reader_studies) == ["mammograms", "artefacts", "chest", "patches"] and whole.dumont2021.readers == ("chest",)
    without = config.load({**demo, "haarburger2019": None, "dumont2021": "null"})
    assert list(without.reader_studies) == ["mammograms", "artefacts"]
    settings = {**demo["dumont2021"]["benchmarks"]["chest"]["settings"], "classes_4": None}
    benchmarks = {**demo["dumont2021"]["benchmarks"], "chest": {**demo["dumont2021"]["benchmarks"]["chest"], "settings": settings}}
    fewer = config.load({**demo, "dumont2021": {**demo["dumont2021"], "benchmarks": benchmarks}})
    nulled = config.load({**demo, "reader_studies": {**demo["reader_studies"], "mammograms": None}})
    assert "mammograms" not in nulled.reader_studies and nulled.korkinof2021.readers is None
    assert "chest" not in fewer.reader_studies and fewer.dumont2021.readers == () and fewer.korkinof2021.readers == "mammograms"


@pytest.mark.parametrize(
    ("study", "sentence"),
    [
        ({"protocol": "single", "synthetic": ["progam"]}, "did you mean `progan`"),
        ({"protocol": "single", "synthetic": ["progan", "haarburger2019/wgan"]}, "need one real cohort"),
        ({"protocol": "single", "synthetic": ["progan"], "questions": 9}, "must be even"),
        ({"protocol": "single", "synthetic": ["progan"], "warmup": 8}, "only warmup+single"),
        ({"protocol": "pair2afc", "synthetic": ["progan"], "answers": "a.csv", "simulated": {}}, "not both"),
        ({"protocol": "pair2afc", "synthetic": ["progan"], "sequences": 10}, "20 readers are hoped for, but there are 10 sequences"),
        ({"protocol": "pair2afc", "synthetic": ["progan"], "margins": [5]}, "between .001 and .5"),
        ({"protocol": "pair2afc", "synthetic": ["progan"], "simulated": {"shares": {"tired": 1}}}, "`tired`, which is not in groups"),
        ({"protocol": "single", "synthetic": 5}, "`reader_studies.mine.synthetic`: a list is needed (it is 5)"),
        (5, "`reader_studies.mine`: a section of keys is needed (it is 5)"),
    ],
)
def test_mistakes_in_a_reader_study_get_a_sentence(demo: dict, study: object, sentence: str) -> None:
    demo["reader_studies"]["mine"] = study
    with pytest.raises(LookalikeError, match=re.escape(sentence)):
        config.load(demo)


def test_a_paper_takes_a_study_of_its_protocol(demo: dict) -> None:
    demo["korkinof2021"]["readers"] = "chest"
    with pytest.raises(LookalikeError, match="needs a study of the protocol pair2afc, `chest` is single"):
        config.load(demo)


def test_an_error_survives_the_way_out_of_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(LookalikeError("It is wrong", "here", "Mend it.")))
    assert str(error) == "It is wrong (here). Mend it."
