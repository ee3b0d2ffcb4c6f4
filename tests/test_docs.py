"""The pages in docs/ name everything that the code has, and say what is so."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer

import nextbest
from agents import spec
from agents.catalog import example_folder
from agents.errors import UnknownNameError
from agents.load import load_workspace
from agents.loading.rule_references import IMPLIED
from agents.revision import Revision
from agents.spec import PolicySpec, SettingValue
from experiments.estimators import ESTIMATORS
from experiments.studies import figures
from policies.models.belief import Linear
from policies.registry import POLICIES, create_policy
from policies.samples import sample_contexts, sample_lessons, sample_mask
from policies.settings import Setting, read_settings
from policies.snapshot import Manifest
from policies.table import TablePolicy
from policies.teaching.discount import Discounting
from policies.vowpal.explorers import EXPLORERS
from serving.app import make_app
from serving.settings import Settings
from simulators.worlds import WORLDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
MODULES = ("beta", "fixed", "hybrid", "linear", "priority", "stateless", "vowpal.learners")
FREE = {"segments": "names", "order": "names"} | dict.fromkeys(
    ("levers", "scores", "context"), "by offer"
)
"""How the range of a setting that is no number begins."""


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name: str, heading: str) -> Iterator[list[str]]:
    """Cells of the table under a line that begins with `heading`, code marks left out."""
    lines = page(name).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.fixture(scope="module")
def telecom() -> Revision:
    with example_folder("telecom") as folder:
        return load_workspace(folder).revisions["retention"]


def revised(revision: Revision, learner: str, **settings: SettingValue) -> Revision:
    policy = PolicySpec(learner=learner, settings=settings)
    return Revision(revision.workspace, revision.agent.model_copy(update={"policy": policy}))


def test_every_guardrail_is_on_the_tour() -> None:
    union = get_args(spec.GuardrailSpec)[0]
    for member in get_args(union):
        (rule,) = get_args(member.model_fields["rule"].annotation)
        assert f"| `{rule}` |" in page("workspace.md")


@pytest.mark.parametrize("name", IMPLIED)
def test_every_guardrail_that_is_always_there_is_on_the_tour(name: str) -> None:
    if name != "holdout":  # a taken name, and no guardrail
        assert f"`{name}`" in page("workspace.md").split("## Guardrails")[1]


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("policies.md", POLICIES),
        (
            "learners.md",
            {name: None for name in POLICIES if name not in ("vw_softmax", "vw_large")},
        ),
        ("evaluation.md", ESTIMATORS),
        ("simulation.md", WORLDS),
    ],
)
def test_every_registered_part_is_described(name: str, registry: dict[str, Any]) -> None:
    for part in registry:
        assert f"`{part}`" in page(name), f"docs/{name} does not name {part}"


@pytest.mark.parametrize(
    "heading", ["| learner | what it does |", "| learner | learns |"], ids=["does", "can"]
)
def test_tables_of_learners_have_each_learner_once(heading: str) -> None:
    assert sorted(learner for learner, *_ in rows("policies.md", heading)) == sorted(POLICIES)


def test_what_each_learner_can_is_what_it_does(telecom: Revision) -> None:
    for learner, *claims in rows("policies.md", "| learner | learns |"):
        revision, rng = revised(telecom, learner), np.random.default_rng(1)
        policy = create_policy(revision)
        untaught, (context,) = policy.to_bytes(), sample_contexts(revision, 1, rng)
        expected = policy.distribution(context, sample_mask(revision, rng)).expected
        policy.update(sample_lessons(revision, 20, rng))
        can = (
            policy.to_bytes() != untaught,
            bool(np.isfinite(expected).all()),
            isinstance(policy, Linear),
            isinstance(policy, Discounting),
            isinstance(policy, TablePolicy),
        )
        assert claims == ["yes" if able else "no" for able in can], learner


@pytest.fixture
def declared(
    telecom: Revision, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Setting | None]]:
    """What a learner asks `read_settings` for, less what it refuses all the same."""

    def ask(learner: str) -> dict[str, Setting | None]:
        asked: dict[str, Setting | None] = {}

        def spy(
            name: str,
            numbers: Mapping[str, Setting],
            given: Mapping[str, SettingValue],
            others: Collection[str] = (),
        ) -> dict[str, float]:
            asked.update(dict.fromkeys(others) | dict(numbers))
            return read_settings(name, numbers, given, others)

        for module in MODULES:
            monkeypatch.setattr(import_module(f"policies.{module}"), "read_settings", spy)
        create_policy(revised(telecom, learner))
        return {
            name: setting
            for name, setting in asked.items()
            if setting is None or accepted(learner, name, setting.default)
        }

    def accepted(learner: str, name: str, value: float) -> bool:
        try:
            create_policy(revised(telecom, learner, **{name: value}))
        except UnknownNameError:
            return False
        return True

    return ask


@pytest.mark.parametrize("learner", POLICIES)
def test_the_table_of_settings_is_the_codes(
    learner: str, declared: Callable[[str], dict[str, Setting | None]]
) -> None:
    table = [row[1:4] for row in rows("policies.md", "| learner | setting |") if row[0] == learner]
    found = declared(learner)
    assert sorted(name for name, *_ in table) == sorted(found)
    for name, default, range_ in table:
        setting = found[name]
        if setting is None:
            assert range_.startswith(FREE[name])
            continue
        assert default == f"{setting.default:g}", name
        whole = ", whole" if setting.whole else ""
        assert range_ == f"{setting.range}{whole}", name


def test_a_lever_has_the_default_and_the_range_of_the_table(telecom: Revision) -> None:
    (row,) = (row for row in rows("policies.md", "| learner | setting |") if row[1] == "levers")
    with pytest.raises(ValueError, match=row[3].removeprefix("by offer, ")):
        create_policy(revised(telecom, "priority", levers={"bigger_plan": 1e9}))
    same = create_policy(revised(telecom, "priority", levers={"bigger_plan": float(row[2])}))
    rng = np.random.default_rng(1)
    plain = create_policy(revised(telecom, "priority"))
    for context in sample_contexts(telecom, 5, rng):
        mask = sample_mask(telecom, rng)
        one, other = (each.distribution(context, mask) for each in (same, plain))
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


def fenced(file: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each block of code on a page."""
    text = file.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        yield match[1], match[2]


def policies_in_yaml() -> list[str]:
    blocks = (block for file in PAGES for kind, block in fenced(file) if kind == "yaml")
    return [block for block in blocks if block.startswith("policy:")]


@pytest.mark.parametrize("snippet", policies_in_yaml())
def test_every_policy_in_yaml_can_be_served(snippet: str, tmp_path: Path) -> None:
    with example_folder("telecom") as folder:
        (tmp_path / "agents").mkdir()
        for file in ("workspace.yaml", "agents/retention.yaml"):
            (tmp_path / file).write_text((folder / file).read_text(encoding="utf-8"))
    path = tmp_path / "agents" / "retention.yaml"
    agent = path.read_text(encoding="utf-8")
    whole = re.sub(r"^policy:\n(?:  .*\n)+", lambda _: snippet, agent, flags=re.MULTILINE)
    assert snippet in whole
    other = whole if "warm_start" not in whole else agent
    path.write_text(whole, encoding="utf-8")
    winback = other.replace("agent: retention", "agent: winback", 1)
    (tmp_path / "agents" / "winback.yaml").write_text(winback, encoding="utf-8")
    loaded = load_workspace(tmp_path)
    revision = loaded.revisions["retention"]
    assert create_policy(revision).name == revision.agent.policy.learner


def test_there_are_policies_in_yaml() -> None:
    text = "".join(policies_in_yaml())
    for word in ("floor_over", "incumbent", "warm_start", "half_life", "uplift", "segments"):
        assert f"{word}:" in text


def test_every_part_of_a_manifest_is_described() -> None:
    told = {word for row in rows("policies.md", "| field | says |") for word in
            re.findall(r"\w+", row[0])}  # fmt: skip
    assert told == {*Manifest.__dataclass_fields__, "size", "hmac"}


def test_as_many_explorers_are_offered_as_the_page_says() -> None:
    assert len(EXPLORERS) == 4
    assert "| four are offered," in page("policies.md")


def commands() -> Iterator[tuple[str, list[str]]]:
    for file in PAGES:
        for kind, block in fenced(file):
            for line in block.replace("\\\n", " ").splitlines() if kind in ("", "console") else ():
                command = line.removeprefix("$ ")
                if command.startswith(("nextbest ", "python -m ")):
                    yield f"{file.name}: {line}", shlex.split(command, comments=True)


def test_every_command_exists_with_its_options() -> None:
    program = typer.main.get_group(nextbest.app)
    seen = set()
    for where, words in commands():
        if words[0] == "python":
            assert importlib.util.find_spec(words[2]) is not None, where
            continue
        assert words[1] in program.commands, where
        command = program.commands[words[1]]
        if isinstance(command, typer.core.TyperGroup):
            assert words[2] in command.commands, where
            command = command.commands[words[2]]
        known = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, where
        seen.add(words[1])
    assert seen >= {"init", "check", "decide", "export", "warm-start", "serve", "evaluate"}


def test_every_name_of_the_policies_exists() -> None:
    named = set(re.findall(r"`(policies(?:\.\w+)+)`", page("policies.md") + page("learners.md")))
    assert len(named) > 5
    for name in named - {"policies.md"}:
        _, module, *words = name.split(".")
        found: object = import_module(f"policies.{module}")
        for word in words:
            assert hasattr(found, word), name
            found = getattr(found, word)


def test_every_block_of_figures_is_a_study() -> None:
    names = figures.blocks(page("learners.md"))
    assert len(names) == len(set(names)) > 0
    for name in names:
        assert f"$ python -m experiments.studies.{name} > {name}.txt" in page("learners.md")


def test_every_route_is_described() -> None:
    app = make_app(Settings(Path("workspace"), Path("data")))
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page("serving.md")


def test_links_lead_somewhere() -> None:
    for file in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / link).exists(), f"{file.name} links to {link}"
