from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import DocumentError
from simulators.market.load import load_world, read_spec, read_world
from simulators.market.market import Market

TEXT = (Path(__file__).parent / "rich" / "world.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("price: {of: {digital:", "price: {of: {digitl:", "did you mean 'digital'?"),
        ("of: {digital: 0.5}}", "of: {shock: 0.5}}", "unknown name 'shock'; use one of: "),
        ("{one: -2.5, ending:", "{one: -2.5, endin:", "did you mean 'ending'?"),
        ("kinds: {sure_thing:", "kinds: {sure_things:", "did you mean 'sure_thing'?"),
        ("{field: plan, value: next}", "{field: plans, value: next}", "did you mean 'plan'?"),
        ("{field: plan, value: next}", "{field: plan, value: gold}", "'gold' is no value of"),
        ("value: true, lasts", "value: 3, lasts", "3 is no value of 'open_complaint'"),
        ("{renewed: {ending: 1.5}", "{renew: {ending: 1.5}", "did you mean 'renewed'?"),
        ("email: {one: 0.9, digital", "email: {one: 0.9, digit", "did you mean 'digital'?"),
        ("outcome: upgraded, stock", "outcome: upgrade, stock", "did you mean 'upgraded'?"),
        ("every: 14d}", "every: 36h}", "expected whole days, got 1 day, 12:00:00"),
        ("on: {complained: 0.8}", "on: {complain: 0.8}", "did you mean 'complained'?"),
        ("outcomes: [upgraded]}", "outcomes: [upgrades]}", "did you mean 'upgraded'?"),
        ("{field: plan, equals: unlimited}", "{field: plan}", "expected 'equals' for a category"),
        ("{field: open_complaint}", "{field: open_complaint, equals: x}", "expected 'equals' for"),
        ("low: 12, high: 0, top", "low: 0, high: 0, top", "expected 'low' and 'high' to differ"),
        ("product: [shock, ending]", "product: [shock, ripple]", "unknown name 'ripple'"),
        ("{absolute: digital}", "{absolute: digitals}", "did you mean 'digital'?"),
        ("wave: [settled, 1.5]", "wave: [settle, 1.5]", "did you mean 'settled'?"),
        ("{field: bill_change, high", "{field: bill_chang, high", "did you mean 'bill_change'?"),
        ("launched: 15}", "launched: 15, retired: 15}", "expected a day after 15"),
        ('peak: "03-20"', 'peak: "02-29"', "expected a month and a day such as '07-20'"),
        ("step: 0.35", "step: 1.35", "expected less than 1, got 1.35"),
        ("half_life: 6d", "half_life: six", "expected a positive duration"),
        ("duplicates: 0.2", "duplicate: 0.2", "did you mean 'duplicates'?"),
        ("harm: true\n    fatigue", "harm: yes\n    fatigue", "expected true or false, got 'yes'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, message: str) -> None:
    assert TEXT.count(old) >= 1
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    with pytest.raises(DocumentError) as caught:
        read_world(TEXT.replace(old, new, 1), "world.yaml")
    assert message in str(caught.value)
    assert caught.value.file == "world.yaml"
    assert line <= caught.value.line <= line + old.count("\n")


def test_a_world_in_python_is_checked_too(make_market: object) -> None:
    spec = read_world(TEXT, "world.yaml")
    document = spec.model_dump() | {"channels": {"email": {"onee": 1.0}}}
    with pytest.raises(ValueError, match=r"^world 'everything', channels.email.onee: unknown name"):
        read_spec(document)
    wrong = spec.model_copy(update={"channels": {"email": {"onee": 1.0}}})
    with pytest.raises(ValueError, match=r"did you mean 'one'"):
        type("Wrong", (Market,), {"spec": wrong})


def test_a_document_survives_plain_values() -> None:
    for spec in (load_world("telecom"), read_world(TEXT, "world.yaml")):
        assert read_spec(spec.model_dump()) == spec


def test_two_stocks_of_one_offer_are_refused() -> None:
    line = "  - {offer: bigger_plan, outcome: upgraded, stock: 5, every: 14d}\n"
    with pytest.raises(DocumentError, match="expected one stock of an offer, got two of"):
        read_world(TEXT.replace(line, 2 * line), "world.yaml")
