from __future__ import annotations

from collections.abc import Callable

import pytest

from agents.actions import NONE
from agents.errors import UnknownNameError
from agents.load import LoadedWorkspace
from agents.revision import Revision
from agents.spec import Scope

WINDOWS = {
    "channels": """
  email:
    cost: 0.25
    windows: {early: {from: "08:00", to: "10:00"}, late: {from: "17:00", to: "20:00"}}
  sms: {cost: 0.5}"""
}


def test_actions_are_none_and_then_offers_variants_channels_as_written(
    build: Callable[..., Revision],
) -> None:
    assert [action.id for action in build().actions] == [
        "none",
        "help/short@email",
        "help/short@sms",
        "help/long@email",
        "help/long@sms",
        "sale/plain@sms",
    ]


def test_send_windows_are_part_of_the_action(build: Callable[..., Revision]) -> None:
    actions = build(WINDOWS).actions
    assert [a.id for a in actions if a.variant == "short"] == [
        "help/short@email#early",
        "help/short@email#late",
        "help/short@sms",
    ]
    assert [a.window for a in actions if a.variant == "short"] == ["early", "late", ""]


def test_an_action_carries_its_text_and_both_costs(build: Callable[..., Revision]) -> None:
    sale = build().actions[5]
    assert (sale.cost, sale.text, sale.kind) == (1.5, "Buy", "promotion")
    assert (NONE.cost, NONE.is_none, sale.is_none) == (0.0, True, False)


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("all", ""),
        ("agent", ""),
        ("kind", "promotion"),
        ("offer", "sale"),
        ("channel", "sms"),
        ("action", "sale/plain@sms"),
    ],
)
def test_what_actions_of_a_scope_share(
    build: Callable[..., Revision], scope: Scope, key: str
) -> None:
    assert build().actions[5].key(scope) == key


def test_positions_are_found_by_id(build: Callable[..., Revision]) -> None:
    revision = build()
    assert [revision.index(id_) for id_ in revision.action_ids] == list(range(6))
    assert revision.action_ids == tuple(action.id for action in revision.actions)
    with pytest.raises(UnknownNameError) as caught:
        revision.index("sale/plain@smss")
    assert str(caught.value) == (
        "agent 'helper' has no action 'sale/plain@smss'; did you mean 'sale/plain@sms'?"
    )


def test_the_example_has_unique_actions_with_text(telecom: LoadedWorkspace) -> None:
    actions = telecom.revisions["retention"].actions
    assert len({action.id for action in actions}) == len(actions) > 10
    assert all(action.text and action.cost > 0 for action in actions[1:])


def test_a_bundle_costs_what_it_includes_and_an_action_knows_its_offer(
    build: Callable[..., Revision],
) -> None:
    revision = build(
        offers="""
  gift: {kind: retention, cost: 2, variants: {plain: {text: Gift}}, channels: [sms]}
  note: {kind: service, cost: 1, variants: {plain: {text: Note}}, channels: [sms]}
  both:
    kind: retention
    stage: winback
    value: 7
    cost: 0.25
    tags: [warm, rare]
    includes: [gift, note]
    variants: {plain: {text: Both}}
    channels: [sms]
  bye: {kind: service, fallback: true, variants: {plain: {text: Bye}}, channels: [sms]}"""
    )
    both = revision.actions[revision.index("both/plain@sms")]
    assert both.cost == 0.25 + 2 + 1 + 0.5
    assert (both.stage, both.value, both.includes) == ("winback", 7.0, ("gift", "note"))
    assert both.tags == {"warm", "rare"}
    assert [action.fallback for action in revision.actions] == [False] * 4 + [True]
    assert revision.actions[1].stage is None
