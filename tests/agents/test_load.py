from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.advising.advice import advise
from agents.errors import DocumentError
from agents.load import LoadedWorkspace, compile_agent, load_workspace, parse_workspace
from agents.revision import Revision
from agents.spec import Workspace
from agents.yamlsource import read_yaml

Replaced = Callable[[str, str, str], str]
Place = Callable[[str, str], str]
Read = Callable[[str], object]
Refused = Callable[..., None]
DURATION = "expected a positive duration such as '30m', '24h' or '7d' (units s, m, h, d, w), got"
PER = "expected a span such as '7d' or a period (hour, day, week, month, quarter, year)"
CLOCK = "expected a time of day from '00:00' to '23:59', got"
NAME = "expected a name of lower-case letters, digits and '_' that begins with a letter, got"


def parsed(text: str) -> Workspace:
    return parse_workspace(read_yaml(text, "f.yaml"))


@pytest.fixture
def compiled(build: Callable[..., Revision]) -> Read:
    """A function that compiles an agent of the small workspace."""
    return lambda text: compile_agent(text, "f.yaml", build().workspace)


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("currency", "curency", "curency", "at curency: unknown word 'curency';"
         " did you mean 'currency'?"),
        ("currency: EUR\n", "", "workspace", "at currency: 'currency' is missing"),
        ("EUR", "eur", "currency", "at currency: expected a currency of three capitals such as"
         " 'EUR', got 'eur'"),
        ("EUR", "12", "currency", "at currency: expected text, got 12"),
        ("workspace: small", "workspace: Small GmbH", "workspace",
         f"at workspace: {NAME} 'Small GmbH'"),
        ("Europe/Berlin", "Europe/Berlim", "zone",
         "at zone: expected an IANA time zone such as 'Europe/Berlin', got 'Europe/Berlim'; did you"
         " mean 'Europe/Berlin'?"),
        ("type: integer", "type: integr", "type", "at customer.age.type: got 'integr';"
         " did you mean 'integer'?"),
        ("type: integer, ", "", "age", "at customer.age.type: 'type' is missing"),
        ("min: 0, max: 120", "min: 200, max: 120", "age",
         "at customer.age: expected min <= max, got 200 > 120"),
        ("min: 0", "min: true", "min", "at customer.age.min: expected a number, got true"),
        ("min: 0", "min: zero", "min", "at customer.age.min: expected a number, got 'zero'"),
        ("[basic, plus]", "[]", "plan", "at customer.plan: expected 'values' for a category or"
         " a set, and for no other type"),
        ("[basic, plus]", "[basic, basic]", "plan", "at customer.plan: expected each of 'values'"
         " once, got one of them twice"),
        ("[basic, plus]", "[basic, 2]", "2]", "at customer.plan.values.1: expected text,"
         " got 2"),
        ("type: boolean", "type: boolean, max: 1", "complaint", "at customer.complaint: expected"
         " 'min' and 'max' only for numbers, got type 'boolean'"),
        ("{type: boolean}", "boolean", "complaint", "at customer.complaint: expected keys and"
         " values, got 'boolean'"),
        ("complaint: {", "Com plaint: {", "Com", f"at customer.Com plaint: {NAME} 'Com plaint'"),
        ("{type: boolean}", "{type: zone}", "time_zone", "at customer.time_zone: expected one zone"
         " field at most, and 'complaint' is one"),
        ("cost: 0.25", "cost: -0.25", "cost", "at channels.email.cost: expected greater than or"
         " equal to 0, got -0.25"),
        ("cost: 0.25", "cost: 1.0e300", "cost", "at channels.email.cost: expected less than or"
         " equal to 1000000000"),
        ("cost: 0.25", "cots: 0.25", "cots", "at channels.email.cots: unknown word 'cots';"
         " did you mean 'cost'?"),
        ("consent: consent_email", "consent: consent_emial", "consent: consent_emial",
         "at channels.email.consent: 'consent_emial' is no boolean customer field;"
         " did you mean 'consent_email'?"),
        ("consent: consent_email", "consent: age", "consent: age", "at channels.email.consent:"
         " 'age' is no boolean customer field; use one of: complaint, consent_email"),
        ("cost: 0.5", "quiet_hours: {from: 21:00, to: 21:00}", "quiet_hours",
         "at channels.sms.quiet_hours: expected 'from' and 'to' to differ, got 21:00 twice"),
        ("cost: 0.5", "quiet_hours: {from: 1260, to: 08:00}", "from",
         f"at channels.sms.quiet_hours.from: {CLOCK} 1260"),
        ("cost: 0.5", "quiet_hours: {from: 21:00, to: 24:00}", "to: 24",
         f"at channels.sms.quiet_hours.to: {CLOCK} '24:00'"),
        ("cost: 0.5", "quiet_hours: {from_: 21:00, to: 08:00}", "from_",
         "at channels.sms.quiet_hours.from_: unknown word 'from_'; did you mean 'from'?"),
        ("channels:", "channels: {}\nx:", "channels: {", "at channels: expected at least 1 of them,"
         " got none"),
        ("\n  time_zone: {type: zone, feature: false}\nchannels: \n  email: {cost: 0.25,",
         "\nchannels: \n  email: {quiet_hours: {from: 21:00, to: 08:00},", "quiet_hours",
         "at channels.email.quiet_hours: expected a customer field of type 'zone' to know the"
         " local time by"),
    ],
)  # fmt: skip
def test_a_wrong_workspace_is_refused_with_its_place(
    refused: Refused, workspace_text: str, old: str, new: str, mark: str, message: str
) -> None:
    refused(parsed, workspace_text, old, new, mark, message)


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("agent", "agnet", "agnet", "at agnet: unknown word 'agnet'; did you mean 'agent'?"),
        ("helper", "null", "agent", "at agent: expected text, got nothing"),
        ("window: 7d", "window: -7d", "window", f"at outcomes.bought.window: {DURATION} '-7d'"),
        ("window: 7d", "window: 0d", "window", f"at outcomes.bought.window: {DURATION} '0d'"),
        ("window: 7d", "window: 7", "window", f"at outcomes.bought.window: {DURATION} 7"),
        ("window: 7d", "window: 1mo", "window", f"at outcomes.bought.window: {DURATION} '1mo'"),
        ("window: 7d", "window: 999999w", "window", "at outcomes.bought.window: expected a"
         " duration of at most 3660d, got '999999w'"),
        ("value: 10, ", "", "bought", "at outcomes.bought.value: 'value' is missing"),
        ("value: 10", "value: ten", "value", "at outcomes.bought.value: expected a number, or"
         " {property, min, max, typical}, got 'ten'"),
        ("value: 10", "value: [10]", "value", "at outcomes.bought.value: expected a number, or"
         " {property, min, max, typical}"),
        ("value: 10", "value: 1000000000000", "value", "at outcomes.bought.value: expected less"
         " than or equal to 1000000000, got 1000000000000"),
        ("value: 10", "value: {propety: price, min: 0, max: 9, typical: 2}", "propety",
         "at outcomes.bought.value.propety: unknown word 'propety'; did you mean 'property'?"),
        ("value: 10", "value: {property: price, min: 0, max: 9}", "value",
         "at outcomes.bought.value.typical: 'typical' is missing"),
        ("value: 10", "value: {property: price, min: 0, max: 9, typical: 10}", "value",
         "at outcomes.bought.value: expected min <= typical <= max, got 0, 10 and 9"),
        ("value: 10", "value: {property: price, min: 0, max: .inf, typical: 10}", ".inf",
         "at outcomes.bought.value.max: expected a plain decimal number such as 17 or 0.5, got"
         " '.inf'"),
        ("count: each", "count: twice", "count", "at outcomes.complained.count: got 'twice'; use"
         " one of: each, once"),
        ("kind: service", "kind: servce", "kind", "at offers.help.kind: got 'servce'; did you mean"
         " 'service'?"),
        ("[email, sms]", "[emial, sms]", "emial", "at offers.help.channels.0: 'emial' is no"
         " channel; did you mean 'email'?"),
        ("[email, sms]", "[email, fax]", "fax", "at offers.help.channels.1: 'fax' is no channel;"
         " use one of: email, sms"),
        ("[email, sms]", "[sms, sms]", "sms]", "at offers.help.channels.1: 'sms' is listed twice"),
        ("[email, sms]", "[]", "channels", "at offers.help.channels: expected at least 1 of"
         " them, got none"),
        ("[email, sms]", "email", "channels", "at offers.help.channels: expected a list, as"
         " in [one, two], got 'email'"),
        ("{text: Buy}", "{txt: Buy}", "txt", "at offers.sale.variants.plain.txt: unknown word"
         " 'txt'; did you mean 'text'?"),
        ("plain: ", "Plain: ", "Plain", f"at offers.sale.variants.Plain: {NAME} 'Plain'"),
        ("cost: 1", "eligible: customer.agee > 1", "eligible", "at offers.sale.eligible: 1:9:"
         " undeclared reference to 'customer.agee'; did you mean 'customer.age'?"
         " (in 'customer.agee > 1')"),
        ("cost: 1", "eligible: customer.age", "eligible", "at offers.sale.eligible: expected an"
         " expression that is true or false, got INT (in 'customer.age')"),
        ("cost: 1", "eligible: customer.age > 'x'", "eligible", "at offers.sale.eligible: 1:14:"
         " found no matching overload for '_>_' applied to '(int, string)'"),
        ("cost: 1", f"eligible: \"{'(' * 99}customer.complaint{')' * 99}\"", "eligible",
         "at offers.sale.eligible: CANCELLED: Expression recursion limit exceeded. limit: 32"),
        ("cost: 1", "eligible: true", "eligible", "at offers.sale.eligible: expected"
         " text, got true"),
        ("cost: 1", f"eligible: {'x' * 2001}", "eligible", "at offers.sale.eligible: expected"
         " string to have at most 2000 characters, got 'xxx"),
        ("cost: 1", 'eligible: ""', "eligible", "at offers.sale.eligible: expected string to have"
         " at least 1 character, got ''"),
        ("agent: helper", "agent: helper\naudience: customer.ag > 1", "audience",
         "at audience: 1:9: undeclared reference to 'customer.ag'; did you mean 'customer.age'?"),
        ("agent: helper", "agent: helper\naudience: customer.age = 1", "audience", "at audience:"
         " 1:14: Syntax error: token recognition error at: '= '; compare with '=='"),
        ("agent: helper", "agent: helper\naudience: customer.age > 1 and customer.age < 9",
         "audience", "at audience: 1:18: Syntax error: mismatched input 'and' expecting <EOF>;"
         " write && for and, || for or, ! for not"),
        ("agent: helper", "agent: helper\nholdout: {control: 10%}", "control", "at"
         " holdout.control: expected a number, got '10%'; write it as 0.1"),
        ("text: Buy", "text: '{{ customer.agee }}'", "text: '{{", "at"
         " offers.sale.variants.plain.text: line 1 of the template: expected a field of the"
         " customer, got customer.agee; did you mean 'age'?"),
        ("agent: helper", "agent: helper\nalways_act: yes", "always_act", "at always_act: expected"
         " true or false, got 'yes'"),
        ("agent: helper", "agent: helper\npolicy: {floor: 1.5}", "floor", "at policy.floor:"
         " expected less than or equal to 1, got 1.5"),
        ("agent: helper", "agent: helper\npolicy: {settings: {prior: true}}", "prior",
         "at policy.settings.prior: expected a number, a text, a list of texts, or names with a"
         " number or a text each, got true; write 1 for true and 0 for false"),
        ("agent: helper", "agent: helper\npolicy: {settings: {prior: [0.1, 2]}}", "prior",
         "at policy.settings.prior: expected a number, a text, a list of texts, or names with a"
         " number or a text each, got [0.1, 2]"),
        ("agent: helper", "agent: helper\npolicy: {settings: {prior: }}", "prior",
         "at policy.settings.prior: expected a number, a text, a list of texts, or names with a"
         " number or a text each, got nothing"),
        ("agent: helper", "agent: helper\nholdout: {control: 0.6, random: 0.4}", "holdout",
         "at holdout: expected control + random below 1, got 0.6 + 0.4"),
        ("agent: helper", "agent: helper\nholdout: {control: -0.1}", "control", "at"
         " holdout.control: expected greater than or equal to 0, got -0.1"),
        ("agent: helper", "agent: helper\nholdout: [0.1, 0.1]", "holdout", "at holdout: expected"
         " keys and values"),
    ],
)  # fmt: skip
def test_a_wrong_agent_is_refused_with_its_place(
    compiled: Read, refused: Refused, agent_text: str, old: str, new: str, mark: str, message: str
) -> None:
    refused(compiled, agent_text, old, new, mark, message)


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("frequency_cap", "frequency", "cap:", "at guardrails.cap: unknown rule 'frequency';"
         " did you mean 'frequency_cap'?"),
        ("rule: frequency_cap, ", "", "cap:", "at guardrails.cap: 'rule' is missing; it says what"
         " it limits, as in 'rule: frequency_cap'"),
        ("frequency_cap", "7", "cap:", "at guardrails.cap: unknown rule '7'; use one of:"
         " action_suppression, budget, cooldown, eligibility, escalation"),
        ("max: 3", "max: -1", "max", "at guardrails.cap.max: expected greater than or equal to 0,"
         " got -1"),
        ("max: 3", "max: 3.5", "max", "at guardrails.cap.max: expected a whole number, got 3.5"),
        ("per: 14d", "per: -14d", "per", f"at guardrails.cap.per: {PER}, got '-14d'"),
        ("per: 14d", "per: [14d]", "per", f"at guardrails.cap.per: {PER}"),
        ("per: 14d", "per: wek", "per", f"at guardrails.cap.per: {PER}, got 'wek'; did you mean"
         " 'week'?"),
        ("per: 14d", "per: 9999w", "per", "at guardrails.cap.per: expected a duration of at most"
         " 3660d, got '9999w'"),
        ("per: 14d", "per: week", "cap", "at guardrails.cap: expected 'window: calendar' with a"
         " period such as week, and 'window: rolling' with a span such as 7d"),
        ("per: 14d", "pre: 14d", "pre", "at guardrails.cap.pre: unknown word 'pre'; did you mean"
         " 'per'?"),
        ("scope: all", "scope: al", "scope", "at guardrails.cap.scope: got 'al'; did you mean"
         " 'all'?"),
        ("scope: all", "scope: 3", "scope", "at guardrails.cap.scope: expected 'all', 'agent',"
         " 'kind', 'offer', 'channel' or 'action', got 3"),
        ("cap: {", "the-cap: {", "the-cap", f"at guardrails.the-cap: {NAME} 'the-cap'"),
        ("{rule: frequency_cap, max: 3, per: 14d, scope: all}",
         "{rule: eligibility, when: customer.complain}", "when", "at guardrails.cap.when: 1:9:"
         " undeclared reference to 'customer.complain'; did you mean 'customer.complaint'?"),
        ("{rule: frequency_cap, max: 3, per: 14d, scope: all}",
         "{rule: eligibility, when: customer.complaint, on: {kinds: [service, sales]}}", "sales",
         "at guardrails.cap.on.kinds.1: got 'sales'; use one of: education, promotion, retention,"
         " service"),
        ("{rule: frequency_cap, max: 3, per: 14d, scope: all}", "{rule: cooldown, per: 14d}",
         "per", "at guardrails.cap.per: unknown word 'per'; use one of: after, except, on, pause,"
         " rule, scope, times, within"),
        ("{rule: frequency_cap, max: 3, per: 14d, scope: all}",
         "{rule: cooldown, pause: 1d, after: bought}", "after", "at guardrails.cap.after: expected"
         " contact, response, rejection or a list of events such as [purchased], got 'bought'"),
        ("{rule: frequency_cap, max: 3, per: 14d, scope: all}",
         "{rule: cooldown, pause: 1d, after: [Bought]}", "Bought", "at guardrails.cap.after.0:"
         f" {NAME} 'Bought'"),
        ("{rule: frequency_cap, max: 3, per: 14d, scope: all}",
         "{rule: sequence, steps: [{kinds: [service]}], within: 1d, restart: 1d}", "steps",
         "at guardrails.cap.steps: expected at least 2 of them, got 1"),
        ("scope: all", "on: {}", "on", "at guardrails.cap.on: expected at least one of kinds,"
         " stages, offers, tags, channels"),
        ("scope: all", "on: {kind: [service]}", "kind:", "at guardrails.cap.on.kind: unknown word"
         " 'kind'; did you mean 'kinds'?"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("document", ["workspace", "agent"])
def test_a_wrong_guardrail_is_refused_in_both_documents(
    compiled: Read,
    refused: Refused,
    workspace_text: str,
    agent_text: str,
    document: str,
    old: str,
    new: str,
    mark: str,
    message: str,
) -> None:
    rule = "{rule: frequency_cap, max: 3, per: 14d, scope: all}"
    read, rest = (parsed, workspace_text) if document == "workspace" else (compiled, agent_text)
    refused(read, f"guardrails:\n  cap: {rule}\n{rest}", old, new, mark, message)


def test_the_first_of_several_faults_is_named(
    compiled: Read, replaced: Replaced, agent_text: str
) -> None:
    text = replaced(replaced(agent_text, "kind: service", "kind: x"), "window: 7d", "window: y")
    with pytest.raises(DocumentError, match="at outcomes.bought.window"):
        compiled(text)


def test_an_agent_cannot_replace_a_rule_of_the_workspace(build: Callable[..., Revision]) -> None:
    rules = {"guardrails": "{cap: {rule: frequency_cap, max: 1, per: 1d}}"}
    with pytest.raises(DocumentError) as caught:
        build(rules, guardrails="{cap: {rule: frequency_cap, max: 9, per: 1d}}")
    assert "at guardrails.cap: the workspace has a guardrail named 'cap' already" in str(
        caught.value
    )


INVALID = "expected a plain decimal number such as 17 or 0.5, got"


@pytest.mark.parametrize(
    ("old", "new", "mark", "message"),
    [
        ("window: 7d", "window: 21:00", "window", f"at outcomes.bought.window: {DURATION} '21:00'"),
        ("kind: service", "kind: NO", "kind", "at offers.help.kind: got 'NO'; use one of:"
         " education, promotion, retention, service"),
        ("cost: 1", "on: 1", "on: 1", "at offers.sale.on: unknown word 'on'"),
        ("cost: 1", "cost: 017", "017", f"at offers.sale.cost: {INVALID} '017'"),
        ("cost: 1", "cost: 0o17", "0o17", f"at offers.sale.cost: {INVALID} '0o17'"),
        ("cost: 1", f"cost: {'9' * 400}", "9999", f"at offers.sale.cost: {INVALID} '{'9' * 40}'"),
        ("cost: 1", "cost: .nan", ".nan", f"at offers.sale.cost: {INVALID} '.nan'"),
        ("cost: 1", "cost: &a 1", "&a", "at offers.sale.cost: anchors and aliases are not"),
        ("cost: 1", "cost: *a", "*a", "at offers.sale.cost: anchors and aliases are not accepted"),
        ("cost: 1", "cost: !!float 1", "!!float", "at offers.sale.cost: tags are not accepted"),
        ("cost: 1", "cost: 1\n    cost: 2", "cost: 2", "at offers.sale: the key 'cost' stands here"
         " a second time"),
        ("cost: 1", f"cost: {'[' * 30}{']' * 30}", "", "expected at most 20 levels of nesting"),
        ("cost: 1", f"start: {'2' * 400}", "2222", f"at offers.sale.start: {INVALID}"),
        ("cost: 1", "start: 2026-02-30", "start", "at offers.sale.start: expected a day such as"
         " '2026-03-31', of the years 1900 to 2999, got '2026-02-30'"),
        ("cost: 1", "start: 2026-03-02\n    end: 2026-03-01", "sale", "at offers.sale: expected"
         " start <= end, got 2026-03-02 > 2026-03-01"),
        ("cost: 1", "includes: [../help]", "../help", f"at offers.sale.includes.0: {NAME}"
         " '../help'"),
        ("{text: Buy}", "{text: Buy, locales: {../de: {}}}", "../de", "at"
         " offers.sale.variants.plain.locales.../de: expected a language tag such as 'de' or"
         " 'de-AT', got '../de'"),
        ("{text: Buy}", "{text: '{{ customer.agee }}'}", "text: '{{", "at"
         " offers.sale.variants.plain.text: "),
        ("{text: Buy}", "{subject: '{{ customer.__class__ }}'}", "subject", "at"
         " offers.sale.variants.plain.subject: "),
        ("{text: Buy}", "{locales: {de: {text: '{% for x in y %}{% endfor %}'}}}", "text: '{%",
         "at offers.sale.variants.plain.locales.de.text: "),
    ],
)  # fmt: skip
def test_hostile_and_surprising_input_is_one_clear_error(
    compiled: Read,
    replaced: Replaced,
    place: Place,
    agent_text: str,
    old: str,
    new: str,
    mark: str,
    message: str,
) -> None:
    text = replaced(agent_text, old, new)
    with pytest.raises(DocumentError) as caught:
        compiled(text)
    error = str(caught.value)
    where = f"f.yaml:{place(text, mark)}: " if mark else ""
    assert error.startswith(where + message) if mark else message in error
    assert "\n" not in error
    assert len(error) < 400


def test_a_zone_that_climbs_out_is_refused(replaced: Replaced, workspace_text: str) -> None:
    text = replaced(workspace_text, "Europe/Berlin", "../../etc/passwd")
    with pytest.raises(DocumentError, match="zone: expected an IANA time zone such as"):
        parsed(text)


EXAMPLE = Path(__file__).parents[2] / "agents" / "examples" / "telecom"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHARED = (EXAMPLE / "workspace.yaml").read_text("utf-8").splitlines()
LINES = (EXAMPLE / "agents" / "retention.yaml").read_text("utf-8").splitlines()
PIECES = st.sampled_from(
    ["{", "}", "[", "]", ":", "- ", "&a ", "*a", "!!x ", "null", "~", "{}", "[]", "-1", "1.0e9",
     ".inf", "'", '"', "{{", "{%", "customer.", "14d", "rule: ", "on: {", "\t", "\x00", "é", "0x1F",
     "|", ">", "---", "%YAML 1.1", "file: ../x", "true", "9" * 400]
)  # fmt: skip


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "insert", "replace", "swap"]),
        st.integers(0, 1_000),
        st.integers(0, 80),
        PIECES,
    ),
    min_size=1,
    max_size=4,
)
Edits = list[tuple[str, int, int, str]]


def mutilated(original: list[str], edits: Edits) -> str:
    lines = list(original)
    for what, number, column, piece in edits:
        index = number % len(lines)
        line = lines[index]
        lines[index] = {
            "drop": "",
            "double": f"{line}\n{line}",
            "insert": line[:column] + piece + line[column:],
            "replace": f"{line[: line.find(':') + 1]} {piece}",
            "swap": lines[(index + column) % len(lines)],
        }[what]
    return "\n".join(lines)


@settings(max_examples=250)
@given(edits=EDITS)
def test_a_mutilated_agent_is_refused_with_its_place_or_can_be_advised(
    telecom: LoadedWorkspace, edits: Edits
) -> None:
    text = mutilated(LINES, edits)
    refused = ""
    try:
        revision = compile_agent(text, "f.yaml", telecom.workspace)
    except DocumentError as error:
        refused = str(error)
    assert not refused or re.match(r"f\.yaml:[1-9]\d*:[1-9]\d*: ", refused)
    if not refused:
        name, source = revision.agent.agent, read_yaml(text, "f.yaml")
        loaded = LoadedWorkspace(
            telecom.workspace, {name: revision}, {name: text}, {name: source}, telecom.source
        )
        assert all(str(advice) for advice in advise(loaded, NOW))


@settings(max_examples=150)
@given(edits=EDITS)
def test_a_mutilated_workspace_is_refused_with_its_place_or_loads(edits: Edits) -> None:
    refused = ""
    try:
        parsed(mutilated(SHARED, edits))
    except DocumentError as error:
        refused = str(error)
    assert not refused or re.match(r"f\.yaml:[1-9]\d*:[1-9]\d*: ", refused)


def write(folder: Path, workspace: str, **agents: str) -> Path:
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(workspace, encoding="utf-8")
    for name, text in agents.items():
        (folder / "agents" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_example_workspace_loads(telecom: LoadedWorkspace) -> None:
    assert list(telecom.revisions) == list(telecom.texts) == ["retention"]
    revision = telecom.revisions["retention"]
    assert compile_agent(telecom.texts["retention"], "x.yaml", telecom.workspace).id == revision.id
    values = {outcome.worth > 0 for outcome in revision.agent.outcomes.values()}
    assert values == {True, False}
    assert {offer.kind for offer in revision.agent.offers.values()} >= {"service", "retention"}


def test_every_agent_of_a_folder_is_loaded(
    replaced: Replaced, tmp_path: Path, workspace_text: str, agent_text: str
) -> None:
    other = replaced(agent_text, "agent: helper", "agent: seller")
    folder = write(tmp_path / "shop", "\ufeff" + workspace_text, helper=agent_text, seller=other)
    assert list(load_workspace(folder).revisions) == ["helper", "seller"]


def test_a_folder_that_is_no_workspace_is_refused(
    tmp_path: Path, workspace_text: str, agent_text: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        load_workspace(tmp_path / "nowhere")
    assert str(caught.value) == (
        "nowhere/workspace.yaml:1:1: there is no such file;"
        " `nextbest init` writes an example workspace"
    )
    with pytest.raises(DocumentError, match="expected at least one agent, a file agents/NAME.yaml"):
        load_workspace(write(tmp_path / "empty", workspace_text))
    folder = write(tmp_path / "shop", workspace_text, seller=agent_text)
    with pytest.raises(DocumentError) as caught:
        load_workspace(folder)
    assert str(caught.value) == (
        "shop/agents/seller.yaml:1:1: at agent: expected the file to be named helper.yaml,"
        " got seller.yaml"
    )


def test_an_agent_in_a_yml_file_is_not_passed_over(
    tmp_path: Path, workspace_text: str, agent_text: str
) -> None:
    folder = write(tmp_path / "shop", workspace_text, helper=agent_text)
    (folder / "agents" / "helper.yaml").rename(folder / "agents" / "helper.yml")
    with pytest.raises(DocumentError, match=r"to be named helper\.yaml, got helper\.yml"):
        load_workspace(folder)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("")
    with pytest.raises(DocumentError, match=r"expected a folder with workspace.yaml .* got a file"):
        load_workspace(tmp_path / "workspace.yaml")


@pytest.mark.parametrize("data", [b"agent: \xff\xfe", "agent: x".encode("utf-16"), b"a: \x80"])
def test_a_file_that_is_not_utf_8_is_refused(
    tmp_path: Path, workspace_text: str, data: bytes
) -> None:
    folder = write(tmp_path / "shop", workspace_text)
    (folder / "agents" / "helper.yaml").write_bytes(data)
    with pytest.raises(DocumentError) as caught:
        load_workspace(folder)
    assert str(caught.value).startswith("shop/agents/helper.yaml:1:1: the file is not UTF-8: ")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop" / "workspace.yaml").mkdir(parents=True)
    with pytest.raises(DocumentError, match=r"shop/workspace.yaml:1:1: the file cannot be read"):
        load_workspace(tmp_path / "shop")
