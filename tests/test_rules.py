"""Every rule as Snakemake reads it: it declares what a scheduler needs; its environment holds what its script imports, pinned as in the lock."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
import yte
from conftest import REPOSITORY
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Wildcards
from snakemake.rules import Rule
from snakemake.settings.types import ResourceSettings

from lookalike.provenance import code_digest

SCRIPTS = REPOSITORY / "scripts"
ENVIRONMENTS = REPOSITORY / "envs"
# Rules that run on a GPU, and rules that are too small to be sent to a scheduler.
GPU = {"train_stage", "sample_images", "train_classifier", "measure_features", "measure_importance", "measure_classes"}
LOCAL = {"tabulate_pair_mi", "tabulate_label_mi", "draw_contours", "draw_spectrum", "compare_published"}
LOCAL |= {"tabulate_settings", "tabulate_gaps", "draw_gaps", "draw_gap_spread", "draw_importance"}
LOCAL |= {"collect_classes", "count_patches", "tabulate_classes", "tabulate_readers", "draw_enhancement"}
LOCAL |= {"plan_readers", "import_answers", "tabulate_questions", "tabulate_artefacts", "draw_responses", "draw_page", "tabulate_study_readers"}
# What a script starts as a process of its own.
STARTS = {name: "lookalike/readers/__main__.py" for name in ("simulate_readers", "draw_page")}
# A training goes on where it stopped, so that its time limit need not grow.
STEADY = {("train_stage", "runtime")}
# One job of the demo for every rule.
JOB = Wildcards(
    fromdict=dict(
        cohort="mammography",
        images="mammography",
        generator="progan",
        synthetic="progan",
        stage="0",
        level="0",
        part="000",
        seed="1",
        bench="chest",
        setting="classes_2",
        study="mammograms",
    ),
)

# Imports whose conda package has another name.
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "torch": "pytorch", "yaml": "pyyaml"}
# Packages that no line imports: pandas and pydicom load them behind these names. Of pydicom's codecs, those for what mammograms come in.
CODECS = {"gdcm", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle"}
BEHIND = {"read_parquet": {"pyarrow"}, "to_parquet": {"pyarrow"}, "read_excel": {"openpyxl"}, "pixel_array": CODECS, "compress": CODECS}
# What starts the workflow, besides the imports of common.smk.
STARTED = {"python", "snakemake-executor-plugin-slurm", "pygments"}  # the last one for `snakemake --report`
# Conda packages whose name in requirements.lock is another one.
LOCKED = {"pytorch": "torch", "gdcm": "python-gdcm"}


def read_rules() -> dict[str, Rule]:
    with SnakemakeApi() as api:
        workflow = api.workflow(ResourceSettings(), snakefile=REPOSITORY / "Snakefile", workdir=REPOSITORY)._workflow
        return {rule.name: rule for rule in workflow.rules}


@pytest.fixture(scope="module")
def rules() -> dict[str, Rule]:
    """All rules of the default config."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LOOKALIKE_GPU", raising=False)
        return read_rules()


def beside(rule: Rule, path: str) -> Path:
    """A path of a rule, which is relative to the rule's file."""
    return (Path(rule.snakefile).parent / path).resolve()


def pins(environment: Path) -> dict[str, str]:
    """Version by package; anything but `name=version`, such as a `pip:` section, is an error."""
    return dict(pin.split("=") for pin in yaml.safe_load(environment.read_text())["dependencies"])


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from nodes(node)


@functools.cache
def read_imports(path: Path) -> tuple[set[Path], set[str]]:
    """Files of ours and conda packages that a file needs, functions' own imports included."""
    modules: set[str] = set()
    packages: set[str] = set()
    for node in nodes(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path} has a relative import"
            modules.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
            packages.update(*(BEHIND.get(alias.name, ()) for alias in node.names))
        elif isinstance(node, ast.Attribute):
            packages.update(BEHIND.get(node.attr, ()))
    files: set[Path] = set()
    for module in modules:
        first, *rest = module.split(".")
        if not ((SCRIPTS / first).is_dir() or (SCRIPTS / f"{first}.py").is_file()):
            packages.update({PACKAGES.get(first, first)} - sys.stdlib_module_names)
        for depth in range(len(rest) + 1):
            place = SCRIPTS.joinpath(first, *rest[:depth])
            files.update(file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file())
    return files, packages


def needed(start: Path) -> set[str]:
    """Conda packages that a file needs, itself or through files of ours."""
    found: set[Path] = set()
    packages: set[str] = set()
    waiting = {start}
    while waiting:
        found |= waiting
        imports = [read_imports(path) for path in waiting]
        packages.update(*(names for _, names in imports))
        waiting = set().union(*(files for files, _ in imports)) - found
    return packages


def test_every_rule_declares_what_a_scheduler_needs(rules: dict[str, Rule]) -> None:
    assert set(rules) >= LOCAL | GPU and not LOCAL & GPU
    for name, rule in rules.items():
        if rule.norun:
            assert not rule.output, f"{name} has outputs, but nothing makes them"
            continue
        script = SCRIPTS / f"{name}.py"
        assert rule.is_script and beside(rule, rule.script) == script, f"{name} runs {rule.script}"
        assert rule.conda_env and beside(rule, rule.conda_env).parent == ENVIRONMENTS, f"{name} has no environment"
        assert [str(path).startswith(f"logs/{name}/") for path in rule.log] == [True], f"{name} has no log of its name"
        assert str(rule.benchmark).startswith(f"benchmarks/runs/{name}/"), f"{name} has no benchmark of its name"
        assert list(rule.params.keys()) == ["task"], f"{name} has other parameters than its task"
        assert rule.params.task(JOB)["code"] == code_digest(script), f"{name} has the task of another script"
        # Snakemake's own default, one thread, would hide that a rule says nothing.
        assert rule.ruleinfo.threads is not None, f"{name} declares no threads"
        first, second = (rule.expand_resources(JOB, [], attempt) for attempt in (1, 2))
        for resource in ("mem_mb", "runtime"):
            assert resource in rule.resources, f"{name} declares no {resource}"
            grown = second.get(resource) > first.get(resource)
            assert grown != ((name, resource) in STEADY), f"{resource} of {name} from {first.get(resource)} to {second.get(resource)}"
        assert rule.ruleinfo.localrule == (name in LOCAL), f"localrule of {name} is {rule.ruleinfo.localrule}"


def test_the_profile_holds_what_the_site_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOKALIKE_ACCOUNT", "LOOKALIKE_QOS", "LOOKALIKE_CONSTRAINT", "LOOKALIKE_GPU", "LOOKALIKE_GPU_QOS", "LOOKALIKE_GPU_PARTITION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOOKALIKE_PARTITION", "open")  # also a function of Python
    monkeypatch.setenv("LOOKALIKE_GPU_CONSTRAINT", "a100")
    profile = yte.process_yaml((REPOSITORY / "slurm/profile.yaml").read_text())
    assert profile["default-resources"] == {"mem_mb": 2000, "runtime": 60, "slurm_partition": "'open'"}
    assert profile["set-resources"] == {rule: {"constraint": "'a100'"} for rule in GPU}
    monkeypatch.delenv("LOOKALIKE_GPU_CONSTRAINT")
    assert "set-resources" not in yte.process_yaml((REPOSITORY / "slurm/profile.yaml").read_text())


@pytest.mark.parametrize(("site", "asked"), [("gpu", {"gpu": 1}), ("gres", {"gres": "gpu:1"}), ("none", {})])
def test_gpus_are_asked_for_as_the_site_wants_it(site: str, asked: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_GPU", site)
    for name, rule in read_rules().items():
        if not rule.norun:
            resources = dict(rule.expand_resources(JOB, [], 1).items())
            assert {key: resources[key] for key in ("gpu", "gres") if key in resources} == (asked if name in GPU else {}), name


def test_environments_hold_what_scripts_import_and_nothing_else(rules: dict[str, Rule]) -> None:
    users = [(ENVIRONMENTS / "workflow.yaml", "snakemake", STARTED | needed(REPOSITORY / "workflow/rules/common.smk"))]
    for name, rule in rules.items():
        if not rule.norun:
            started = needed(SCRIPTS / STARTS[name]) if name in STARTS else set()
            users.append((beside(rule, rule.conda_env), name, {"python"} | needed(SCRIPTS / f"{name}.py") | started))
    idle = {path.name: set(pins(path)) for path in ENVIRONMENTS.glob("*.yaml")}
    for environment, user, packages in users:
        lacking = packages - set(pins(environment))
        assert not lacking, f"{environment.name} lacks {sorted(lacking)}, which {user} needs"
        idle[environment.name] -= packages
    assert not any(idle.values()), f"nothing uses {idle}"


def test_environments_pin_what_the_lock_pins() -> None:
    lines = (REPOSITORY / "requirements.lock").read_text().lower().splitlines()
    lock = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert not {"torchvision", "torchaudio"} & set(lock)
    for path in ENVIRONMENTS.glob("*.yaml"):
        channels = yaml.safe_load(path.read_text())["channels"]
        assert channels[0] == "conda-forge" and channels[-1] == "nodefaults", path.name
        wanted = {name: "3.11" if name == "python" else lock[LOCKED.get(name, name)] for name in pins(path)}
        assert pins(path) == wanted, path.name
