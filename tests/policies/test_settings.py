from __future__ import annotations

import math
from pathlib import Path

import pytest

from agents.catalog import write_example
from agents.changes.diff import diff
from agents.errors import DocumentError, UnknownNameError
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import SettingValue
from policies.registry import check_policy
from policies.settings import Setting, read_settings

DECLARED = {"tau": Setting(0.6, 0.01, 5.0), "grid": Setting(128, 64, 512, whole=True)}


def test_defaults_and_given() -> None:
    assert read_settings("demo", DECLARED, {"grid": 64.0}) == {"tau": 0.6, "grid": 64.0}


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError) as caught:
        read_settings("demo", DECLARED, {"tua": 1.0})
    message = "policy.settings.tua: demo has no setting 'tua'; did you mean 'tau'?"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 0.0, "policy.settings.tau: expected a number from 0.01 to 5, got 0"),
        ("tau", math.nan, "policy.settings.tau: expected a number from 0.01 to 5, got nan"),
        ("grid", 100.5, "policy.settings.grid: expected a whole number from 64 to 512, got 100.5"),
        ("tau", True, "policy.settings.tau: expected a number from 0.01 to 5, got True"),
        ("tau", "much", "policy.settings.tau: expected a number from 0.01 to 5, got 'much'"),
        ("tau", (1.0,), "policy.settings.tau: expected a number from 0.01 to 5, got a list"),
        ("tau", {"a": 1.0}, "policy.settings.tau: expected a number from 0.01 to 5, got keys and"
         " values"),
        ("grid", 1024.0, "policy.settings.grid: expected a whole number from 64 to 512, got 1024"),
    ],
)  # fmt: skip
def test_out_of_range(name: str, value: SettingValue, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        read_settings("demo", DECLARED, {name: value})
    assert str(caught.value) == message


def test_others_are_neither_read_nor_refused() -> None:
    assert read_settings("demo", DECLARED, {"order": ("a",)}, ("order",)) == {
        "tau": 0.6,
        "grid": 128,
    }
    with pytest.raises(UnknownNameError, match=r"no setting 'oder'; did you mean 'order'\?"):
        read_settings("demo", DECLARED, {"oder": ("a",)}, ("order",))


def written(folder: Path, policy: str) -> Path:
    """Write the example workspace with another policy, on lines of its own."""
    if not folder.exists():
        write_example("telecom", folder)
    path = folder / "agents" / "retention.yaml"
    before, _, after = path.read_text(encoding="utf-8").partition("policy:\n")
    _, _, after = after.partition("\n\n")
    path.write_text(f"{before}policy:\n{policy}\n\n{after}", encoding="utf-8")
    return folder


PRIORITY = """\
  learner: priority
  settings:
    context_weight: 3
    levers: {bigger_plan: 2, loyalty_credit: 0.5}
    context:
      roaming_pass: customer.roaming_days > 3
"""


def test_settings_of_every_kind_are_read_from_yaml_and_kept_by_the_stored_source(
    tmp_path: Path,
) -> None:
    loaded = load_workspace(written(tmp_path / "shop", PRIORITY))
    revision = loaded.revisions["retention"]
    assert revision.agent.policy.settings == {
        "context_weight": 3.0,
        "levers": {"bigger_plan": 2.0, "loyalty_credit": 0.5},
        "context": {"roaming_pass": "customer.roaming_days > 3"},
    }
    assert Revision.from_source(revision.source).agent == revision.agent
    assert check_policy(revision, loaded.sources["retention"]).name == "priority"


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("bigger_plan: 2", "biger_plan: 2", "biger_plan", "at policy.settings.levers.biger_plan:"
         " 'biger_plan' is no offer; did you mean 'bigger_plan'?"),
        ("bigger_plan: 2", "bigger_plan: -2", "bigger_plan: -2", "at"
         " policy.settings.levers.bigger_plan: expected a number from 0 to 1000, got -2"),
        ("roaming_days > 3", "roaming > 3", "roaming_pass: customer", "at"
         " policy.settings.context.roaming_pass: 1:9: undeclared reference to 'customer.roaming';"
         " did you mean 'customer.roaming_days'? (in 'customer.roaming > 3')"),
        ("context_weight: 3", "context_weight: [3]", "context_weight: [", "at"
         " policy.settings.context_weight: expected a number, a text, a list of texts, or names"
         " with a number or a text each, got [3]"),
        ("{bigger_plan: 2, loyalty_credit: 0.5}", "3", "levers: 3", "at policy.settings.levers:"
         " expected an offer: a number each, got 3"),
        ("priority", "fixed\n  settings: {order: [none, sms]}\nx:", "sms", "at"
         " policy.settings.order.1: 'sms' is no offer or action;"),
    ],
)  # fmt: skip
def test_a_wrong_setting_has_its_place(
    tmp_path: Path, old: str, new: str, mark: str, message: str
) -> None:
    policy = PRIORITY.replace(old, new).split("\nx:")[0]
    folder = written(tmp_path / "shop", policy)
    text = (folder / "agents" / "retention.yaml").read_text(encoding="utf-8")
    after = text[text.index("policy:") :]
    place = text.index("policy:") + after.index(mark)
    line = text[:place].count("\n") + 1
    with pytest.raises(DocumentError) as caught:
        loaded = load_workspace(folder)
        check_policy(loaded.revisions["retention"], loaded.sources["retention"])
    assert str(caught.value).startswith(f"shop/agents/retention.yaml:{line}:")
    assert message in str(caught.value)


def test_a_change_of_a_setting_is_told(tmp_path: Path) -> None:
    old = load_workspace(written(tmp_path / "old", PRIORITY))
    changed = PRIORITY.replace("plan: 2", "plan: 4").replace("> 3", "> 5")
    new = load_workspace(written(tmp_path / "new", changed))
    assert [change.words for change in diff(old, new)] == [
        "policy.settings.levers.bigger_plan: 2 -> 4",
        "policy.settings.context.roaming_pass: customer.roaming_days > 3 ->"
        " customer.roaming_days > 5",
    ]
    listed = "  learner: fixed\n  settings: {order: [bigger_plan, none]}"
    fixed = load_workspace(written(tmp_path / "old", listed))
    swapped = listed.replace("[bigger_plan, none]", "[none, bigger_plan]")
    other = load_workspace(written(tmp_path / "new", swapped))
    assert [change.words for change in diff(fixed, other)] == [
        "policy.settings.order: [bigger_plan, none] -> [none, bigger_plan]"
    ]
