from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime

import pytest

from agents.load import LoadedWorkspace, compile_agent
from agents.revision import Revision
from agents.spec import Workspace

BLOCK = """\
agent: helper
outcomes:
  bought: {value: 10, window: 7d}
offers:
  help:
    kind: service
    variants: {short: {text: Help}}
    channels: [email, sms]
"""
FLOW = """\
# The same, in another hand.
offers: {"help": {channels: ["email", 'sms'], variants: {short: {text: "Help"}}, kind: "service"}}
outcomes:
    "bought":
        window: 1w  # seven days
        value: 10.0
        count: once
"agent":   'helper'
always_act: FALSE
holdout: {random: 0.1}
"""


@pytest.fixture
def workspace(build: Callable[..., Revision]) -> Workspace:
    return build().workspace


def test_the_same_content_has_the_same_id_however_it_is_written(workspace: Workspace) -> None:
    block, flow = (compile_agent(text, "agent.yaml", workspace) for text in (BLOCK, FLOW))
    assert block.id == flow.id
    assert block.source == flow.source
    assert block.id == hashlib.sha256(block.source).hexdigest()[:16]
    assert len(block.id) == 16


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value: 10", "value: 11"),
        ("window: 7d", "window: 8d"),
        ("text: Help", "text: Help!"),
        ("[email, sms]", "[sms, email]"),
        ("[email, sms]", "[email]"),
        ("kind: service", "kind: education"),
        ("agent: helper", "agent: helpers"),
        ("agent: helper", "agent: helper\nalways_act: true"),
        ("agent: helper", "agent: helper\nholdout: {salt: '2'}"),
        ("agent: helper", "agent: helper\npolicy: {floor: 0.03}"),
        ("agent: helper", "agent: helper\nguardrails: {g: {rule: cooldown, pause: 1d}}"),
    ],
)
def test_other_content_has_another_id(workspace: Workspace, old: str, new: str) -> None:
    before = compile_agent(BLOCK, "agent.yaml", workspace)
    after = compile_agent(BLOCK.replace(old, new), "agent.yaml", workspace)
    assert BLOCK.replace(old, new) != BLOCK
    assert after.id != before.id


def test_a_change_of_the_workspace_is_a_change_of_every_revision(
    build: Callable[..., Revision],
) -> None:
    assert build({"currency": "USD"}).id != build().id
    assert build({"channels": "{email: {}, sms: {}}"}).id != build().id
    assert build({}).id == build().id


def test_the_order_of_offers_is_content_since_positions_follow_it(
    build: Callable[..., Revision],
) -> None:
    offer = "{kind: service, variants: {v: {}}, channels: [sms]}"
    one, two = (build(offers=f"{{{a}: {offer}, {b}: {offer}}}") for a, b in ("za", "az"))
    assert [a.id for a in one.actions] == ["none", "z/v@sms", "a/v@sms"]
    assert [a.id for a in two.actions] == ["none", "a/v@sms", "z/v@sms"]
    assert one.id != two.id


def same(first: Revision, second: Revision, features: dict[str, object], at: datetime) -> None:
    assert first.id == second.id
    assert first.source == second.source
    assert first.actions == second.actions
    assert first.agent == second.agent
    assert first.workspace == second.workspace
    assert first.lookback == second.lookback
    masks = [r.mask(r.context("ann", at, features)) for r in (first, second)]
    assert masks[0] == masks[1]
    assert [rule.name for rule in first.guardrails] == [rule.name for rule in second.guardrails]


def test_a_stored_source_rebuilds_the_same_revision_and_mask(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    rules = """{z: {rule: frequency_cap, max: 0, per: 36h, scope: offer},
                a: {rule: eligibility, when: customer.age > 40}}"""
    revision = build(guardrails=rules, audience="customer.age > 20", description="café ☕")
    same(Revision.from_source(revision.source), revision, features, noon)
    same(Revision.from_source(revision.source), revision, {"age": 50}, noon)


def test_the_example_is_rebuilt_from_its_source(telecom: LoadedWorkspace, noon: datetime) -> None:
    revision = telecom.revisions["retention"]
    again = Revision.from_source(revision.source)
    customer: dict[str, object] = {
        "plan": "plus", "bill_change": 0.2, "data_used_share": 0.5, "consent_sms": True,
        "consent_push": True, "time_zone": "Asia/Kathmandu", "open_complaint": False,
    }  # fmt: skip
    same(again, revision, customer, noon)


def test_the_source_is_plain_json_of_both_documents(build: Callable[..., Revision]) -> None:
    documents = json.loads(build().source)
    assert set(documents) == {"agent", "workspace"}
    assert documents["agent"]["outcomes"]["bought"]["window"] == "1w"


def test_a_revision_has_the_contexts_zone_and_sending_instants(
    build: Callable[..., Revision], noon: datetime
) -> None:
    windows = {"channels": '{email: {windows: {am: {from: "08:00", to: "09:00"}}}, sms: {}}'}
    revision = build(windows)
    known = revision.moment(revision.context("ann", noon, {"time_zone": "Europe/Berlin"}))
    assert known.zone == "Europe/Berlin"
    assert known.sends == {
        ("email", "am"): datetime.fromisoformat("2026-01-15T07:00:00Z"),
        ("sms", ""): noon,
    }
    context = revision.context("ann", noon, {"time_zone": "Europe/Berlin"})
    for action in revision.actions:
        expected = known.sends.get((action.channel, action.window))
        assert revision.send_at(action, context) == expected
    unknown = revision.moment(revision.context("ann", noon, {}))
    assert unknown.zone is None
    assert unknown.sends == {("email", "am"): None, ("sms", ""): noon}


def test_a_moment_is_worked_out_once_for_all_rules(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    windows = '{email: {windows: {late: {from: "17:00", to: "20:00"}}}, sms: {}}'
    revision = build({"channels": windows}, audience="customer.age >= 18 && customer.bill > 1.0")
    context = revision.context("ann", noon, features)
    moment = revision.moment(context)
    assert moment.zone == "Europe/Berlin"
    assert moment.sends == {("email", "late"): noon.replace(hour=16), ("sms", ""): noon}
    for action in revision.actions[1:]:
        assert revision.send_at(action, context) == moment.sends[action.channel, action.window]
    unknown = revision.moment(revision.context("ann", noon, features | {"time_zone": None}))
    assert (unknown.zone, unknown.sends["email", "late"]) == (None, None)


@pytest.mark.parametrize("field", ["age", "bill", "complaint"])
def test_every_field_that_an_expression_reads_is_bound(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime, field: str
) -> None:
    revision = build(
        audience="customer . age > 1",  # as CEL lets it be written
        guardrails="""
  calm: {rule: suppression, when: customer.complaint}
  rich: {rule: eligibility, when: customer.bill > 1.0}""",
    )
    assert not revision.mask(revision.context("ann", noon, features)).all_barred
    without = revision.mask(revision.context("ann", noon, features | {field: None}))
    assert without.all_barred
    assert str(without.reasons[1]).endswith(f"is unknown: no value for customer.{field}")
