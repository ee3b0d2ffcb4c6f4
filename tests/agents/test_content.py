from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.content import Catalog, TemplateError, fallbacks, nearest
from agents.errors import ContentError, NextbestError
from agents.revision import Revision
from agents.spec import Agent, Workspace
from agents.templates.syntax import Field
from agents.templates.template import read_template

FIELDS = (
    Field("name", "text", 256),
    Field("plan", "text", 5),
    Field("bill", "number", 40),
    Field("loyal", "boolean", 40),
    Field("since", "instant", 40),
    Field("likes", "set", 9),
    Field("values", "text", 5),
)
ANN: dict[str, bool | float | str | datetime | tuple[str, ...]] = {
    "name": "ann o'neil",
    "plan": "basic",
    "bill": 20.0,
    "loyal": False,
    "since": datetime(2026, 3, 31, 23, tzinfo=UTC),
    "likes": ("films", "news"),
    "values": "own",
}


def written(source: str, **more: bool | float | str) -> str:
    template = read_template(source, FIELDS)
    return template.render(ANN | more, zone="Europe/Berlin", currency="EUR")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("100% { off } }} %}", "100% { off } }} %}"),
        ("line\n", "line\n"),
        ("line {{ customer.plan }}\n", "line basic\n"),
        ("{{ customer.name }}", "ann o'neil"),
        ("{{ customer.name | upper }}", "ANN O'NEIL"),
        ("{{ 'ANN' | lower }}", "ann"),
        ("{{ customer.name | title }}", "Ann O'neil"),
        ("{{ customer.name | capitalize }}", "Ann o'neil"),
        ("{{ '  x ' | trim }}", "x"),
        ("{{ customer.bill }}", "20"),
        ("{{ customer.bill | money }}", "20.00 EUR"),
        ("{{ -0.001 | money }}", "0.00 EUR"),
        ("{{ 2.345 | round(1) }} {{ 2.7 | int }} {{ -3 }}", "2.3 2 -3"),
        ("{{ customer.since | date }}", "2026-04-01"),  # in the zone it is shown in
        ("{{ customer.since | date('%d.%m.%Y %H:%M') }}", "01.04.2026 01:00"),
        ("{{ customer.likes | join }}", "films, news"),
        ("{{ customer.likes | join(' and ') }}", "films and news"),
        ("{{ customer.values }}", "own"),  # no method of a mapping
        ("{% if customer.loyal %}a{% elif customer.bill > 19.5 %}b{% else %}c{% endif %}", "b"),
        ("{% if not customer.loyal and 'news' in customer.likes %}yes{% endif %}", "yes"),
        ("{% if customer.plan in ['plus', 'basic'] or customer.bill < -1 %}yes{% endif %}", "yes"),
        ("{{ 'few' if customer.bill <= 20 else 'many' }}", "few"),
        ("{# a remark #}x", "x"),
        ("{% raw %}{{ braces }}{% endraw %}", "{{ braces }}"),
    ],
)
def test_what_a_template_becomes(source: str, text: str) -> None:
    assert written(source) == text


def test_values_are_neither_escaped_nor_read_as_templates() -> None:
    name = "<b>{{ customer.bill }}{% if %}&"
    assert written("{{ customer.name }}", name=name) == name


ALLOWED = "only text, {{ customer.field }}, filters and 'if' are allowed"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for x in customer.likes %}{% endfor %}", f"got a loop; {ALLOWED}"),
        ("{{ customer.name.upper() }}", "got a call"),
        ("{{ range(10) }}", "got a call"),
        ("{{ customer.name.__class__ }}", "got '.__class__' of something other than customer"),
        ("{{ customer.__class__ }}", "got customer.__class__; use one of: bill"),
        ("{{ customer['name'] }}", "got a subscript"),
        ("{{ ''.__class__ }}", "got '.__class__' of something"),
        ("{{ customer }}", "got the name 'customer'"),
        ("{{ name }}", "got the name 'name'"),
        ("{{ self }}", "got the name 'self'"),
        ("{{ zone }}", "got the name 'zone'"),
        ("{{ cycler }}", "got the name 'cycler'"),
        ("{% set x = 1 %}", "got 'set'"),
        ("{% set x %}1{% endset %}", "got 'set'"),
        ("{% import 'x' as y %}", "got an import"),
        ("{% from 'x' import y %}", "got an import"),
        ("{% include '/etc/passwd' %}", "got an include"),
        ("{% extends 'x' %}", "got 'extends'"),
        ("{% block x %}{% endblock %}", "got a block"),
        ("{% macro x() %}{% endmacro %}", "got a macro"),
        ("{% call x() %}{% endcall %}", "got a call"),
        ("{% filter upper %}x{% endfilter %}", "got a filter block"),
        ("{% with %}{% endwith %}", "got 'with'"),
        ("{% autoescape true %}{% endautoescape %}", "got 'autoescape'"),
        ("{{ 9 ** 9 ** 9 }}", "got arithmetic"),
        ("{{ 'a' * 1000000000 }}", "got arithmetic"),
        ("{{ customer.bill + 1 }}", "got arithmetic"),
        ("{{ -customer.bill }}", "got arithmetic"),
        ("{{ 'a' ~ 'b' }}", "got '~'"),
        ("{{ [1] }}", "got a list"),
        ("{{ {1: 2} }}", "got a mapping"),
        ("{{ none }}", "expected a text, true, false or a number"),
        ("{{ " + "9" * 400 + " }}", "a number of at most 1e15"),
        ("{{ " + "9" * 5_000 + " }}", "expected numbers of at most 1e15"),
        ("{{ 1e999 }}", "a number of at most 1e15"),
        ("{{ customer.nam }}", "got customer.nam; did you mean 'name'?"),
        ("{{ customer.name | uper }}", "expected a known filter, got 'uper'; did you mean 'upper'"),
        ("{{ customer.name | attr('x') }}", "expected a known filter, got 'attr'"),
        ("{{ customer.bill | upper }}", "expected a text before the filter, got a number"),
        ("{{ customer.name | money }}", "expected a number before the filter, got a text"),
        ("{{ customer.name | date }}", "expected an instant before the filter, got a text"),
        ("{{ customer.since | date('%c') }}", "expected date(...) with a pattern of %Y"),
        ("{{ customer.bill | round(9) }}", "expected round(...) with 0 to 6 digits"),
        ("{{ customer.bill | round(customer.bill) }}", "expected a literal in the brackets"),
        ("{{ customer.name | upper(1) }}", "expected fewer words in the brackets of 'upper'"),
        ("{{ customer.name | default(1) }}", "expected default(...) with a literal like a text"),
        ("{{ customer.name | default }}", "expected default(...) with a literal like a text"),
        ("{{ customer.name | default(value='x') }}", "with literals alone"),
        ("{{ customer.likes | join('x' * 9) }}", "expected a literal in the brackets"),
        ("{{ customer.loyal }}", "expected a text or a number to write, got a boolean"),
        ("{{ customer.since }}", "expected a text or a number to write, got an instant"),
        ("{{ customer.likes }}", "expected a text or a number to write, got a set"),
        ("{{ customer.name and 'x' }}", "expected a text or a number to write, got a boolean"),
        ("{{ 'x' if customer.loyal }}", "expected an 'else'"),
        ("{{ 'x' if customer.loyal else 1 }}", "expected a text, got a number"),
        ("{% if customer.bill %}{% endif %}", "expected something true or false, got a number"),
        ("{% if customer.bill == '20' %}{% endif %}", "expected a number, got a text"),
        ("{% if customer.name < 'x' %}{% endif %}", "expected numbers or instants around"),
        ("{% if 1 < customer.bill < 3 %}{% endif %}", "expected one comparison at a time"),
        ("{% if 1 in customer.likes %}{% endif %}", "expected a text, got a number"),
        ("{% if 'x' in customer.bill %}{% endif %}", "expected a list, a set or a text behind"),
        ("{% if customer.name is string %}{% endif %}", "got 'is string'"),
        ("{{", "unexpected 'end of template'"),
        ("{% if customer.loyal %}", "Unexpected end of template"),
        ("{% frobnicate %}", "unknown tag 'frobnicate'"),
        ("a\n\n{{ x }}", "line 3 of the template: got the name 'x'"),
        ("{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}", "it nests too deep"),
        ("{% if customer.loyal %}" * 50 + "{% endif %}" * 50, "it nests too deep"),
        ("{{ not " + "not " * 50 + "true }}", "it nests too deep"),
        ("{{ customer.name }}" * 79, "stays within 20000 characters, got one that may grow"),
        ("{{ customer.name | upper }}" * 27, "stays within 20000 characters"),
    ],
)  # fmt: skip
def test_what_a_template_may_not_say(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"expected|got|nknown|nexpected") as caught:
        read_template(source, FIELDS)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


NEEDS = [
    ("{{ customer.name }}", {"name"}),
    ("{{ customer.name | default('you') }}", set()),
    ("{{ customer.name | upper | default('you') }}", {"name"}),  # upper comes first
    ("{{ customer.name | default('you') }}{{ customer.name }}", {"name"}),
    ("{% if customer.name is defined %}{{ customer.name }}{% endif %}", set()),
    ("{% if customer.name is defined %}{% else %}{{ customer.name }}{% endif %}", {"name"}),
    ("{% if customer.name is undefined %}{% else %}{{ customer.name }}{% endif %}", set()),
    ("{% if customer.name is not defined %}{{ customer.name }}{% endif %}", {"name"}),
    ("{% if customer.name is defined %}{{ customer.plan }}{% endif %}", {"plan"}),
    ("{% if customer.name is defined and customer.name == 'x' %}{% endif %}", set()),
    ("{% if customer.name == 'x' and customer.name is defined %}{% endif %}", {"name"}),
    ("{% if customer.name is undefined or customer.name == 'x' %}{% endif %}", set()),
    ("{% if customer.name is defined or customer.loyal %}{{ customer.name }}{% endif %}",
     {"name", "loyal"}),
    ("{% if customer.name is undefined %}{% elif customer.name == 'x' %}{% endif %}", set()),
    ("{{ customer.name if customer.name is defined else 'you' }}", set()),
    ("{{ 'x' if customer.loyal else customer.name }}", {"name", "loyal"}),
    ("{% if customer.loyal %}{{ customer.bill | money }}{% endif %}", {"loyal", "bill"}),
    ("{% if customer.name is defined %}{% endif %}{{ customer.name }}", {"name"}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "needs"), NEEDS)
def test_which_fields_a_template_needs(source: str, needs: set[str]) -> None:
    assert read_template(source, FIELDS).needs == needs


@given(st.sampled_from([source for source, _ in NEEDS]), st.sets(st.sampled_from(sorted(ANN))))
def test_with_all_that_it_needs_a_template_can_be_written_and_without_it_says_so(
    source: str, known: set[str]
) -> None:
    template = read_template(source, FIELDS)
    features = {name: ANN[name] for name in known}
    if template.needs <= known:
        assert isinstance(template.render(features, zone="UTC", currency="EUR"), str)
    else:
        with pytest.raises(ContentError, match="got none for customer") as caught:
            template.render(features, zone="UTC", currency="EUR")
        assert isinstance(caught.value, NextbestError)


pieces = st.lists(
    st.sampled_from(
        ["{{ ", " }}", "{% ", " %}", "if ", "endif", "else", "elif ", "customer", ".name", ".bill",
         " | default('x')", "|money", "|join", " is defined", "(", ")", "[", "]", "'", "1", " + ",
         " in ", "for x in ", "endfor", "{#", "#}", "set x = ", "\n", "-", "not ", " and ", "text",
         "customer.loyal", "customer.likes", "customer.since", "__class__", "{% raw %}"]
    ),
    max_size=14,
)  # fmt: skip


@given(pieces.map("".join) | st.text(max_size=40))
def test_any_text_is_refused_in_words_or_can_be_written(source: str) -> None:
    try:
        template = read_template(source, FIELDS)
    except ValueError:
        return
    assert len(template.render(ANN, zone="UTC", currency="EUR")) <= 20_000


CUSTOMER = {
    "name": {"type": "text"},
    "language": {"type": "category", "values": ["de-AT", "de", "EN-gb", "fr"]},
    "since": {"type": "instant"},
    "time_zone": {"type": "zone"},
}
OFFERS = {
    "call": {
        "kind": "service",
        "channels": ["email"],
        "variants": {
            "short": {
                "subject": "A call",
                "text": "We call you, {{ customer.name | default('friend') }}",
                "locales": {
                    "de": {"subject": "Anruf", "text": "Wir rufen an, {{ customer.name }}"},
                    "de-AT": {"text": "Servus"},
                },
            },
            "long": {"text": "Since {{ customer.since | date }}"},
        },
    },
    "gift": {
        "kind": "promotion",
        "channels": ["email"],
        "includes": ["call"],
        "variants": {"plain": {"text": "A gift"}},
    },
}


def documents(offers: object = OFFERS, **more: object) -> tuple[Workspace, Agent]:
    workspace = {
        "workspace": "w", "currency": "EUR", "zone": "Asia/Kathmandu", "customer": CUSTOMER,
        "channels": {"email": {}}, "locales": {"field": "language", "default": "en"},
    } | more  # fmt: skip
    outcomes = {"bought": {"value": 1, "window": "1d"}}
    agent = {"agent": "a", "outcomes": outcomes, "offers": offers}
    return (
        Workspace.model_validate_json(json.dumps(workspace)),
        Agent.model_validate_json(json.dumps(agent)),
    )


@pytest.fixture(scope="module")
def revision() -> Revision:
    return Revision(*documents())


@pytest.mark.parametrize(
    ("language", "subject", "text", "locale"),
    [
        ("de", "Anruf", "Wir rufen an, Ann", "de"),
        ("de-AT", "", "Servus", "de-AT"),
        ("EN-gb", "A call", "We call you, Ann", "en"),
        ("fr", "A call", "We call you, Ann", "en"),
        (None, "A call", "We call you, Ann", "en"),
    ],
)
def test_the_words_are_in_the_customers_language(
    revision: Revision, noon: datetime, language: str | None, subject: str, text: str, locale: str
) -> None:
    context = revision.context("ann", noon, {"name": "Ann", "language": language})
    words = revision.content(revision.actions[revision.index("call/short@email")], context)
    assert (words.subject, words.text, words.locale) == (subject, text, locale)
    assert words.includes == {}


def test_language_tags_fall_back_without_regard_to_case() -> None:
    workspace, agent = documents(customer=CUSTOMER | {"language": {"type": "text"}})
    catalog, action = Catalog(workspace, agent), Revision(workspace, agent).actions[1]
    for tag, locale in [("DE-at", "de-AT"), ("de-at-1996", "de-AT"), ("de-CH", "de"), ("d", "en")]:
        assert catalog.render(action, {"language": tag, "name": "x"}).locale == locale
    assert list(fallbacks("de-AT-1996")) == ["de-at-1996", "de-at", "de"]
    assert nearest("de-CH", ["de", "de-at"]) == "de"
    assert nearest("fr", ["de"]) == nearest("", ["de"]) == ""


def test_without_locales_the_own_words_serve_everyone() -> None:
    workspace, agent = documents(locales=None)
    words = Catalog(workspace, agent).render(
        Revision(workspace, agent).actions[1], {"language": "de"}
    )
    assert (words.text, words.locale) == ("We call you, friend", "")


def test_a_bundle_brings_the_words_of_what_it_includes(revision: Revision, noon: datetime) -> None:
    context = revision.context("ann", noon, {"name": "Ann", "language": "de"})
    words = revision.content(revision.actions[revision.index("gift/plain@email")], context)
    assert (words.text, words.locale) == ("A gift", "en")
    assert words.includes["call"].text == "Wir rufen an, Ann"
    assert words.includes["call"].locale == "de"


def test_none_has_no_words(revision: Revision, noon: datetime) -> None:
    words = revision.content(revision.actions[0], revision.context("ann", noon, {}))
    assert (words.subject, words.text, words.includes) == ("", "", {})


@pytest.mark.parametrize(
    ("zone", "day"), [("America/New_York", "2026-03-31"), (None, "2026-04-01")]
)
def test_an_instant_is_shown_where_the_customer_is(
    revision: Revision, noon: datetime, zone: str | None, day: str
) -> None:
    """Without the customer's zone, where the organisation is."""
    context = revision.context("ann", noon, {"since": ANN["since"], "time_zone": zone})
    action = revision.actions[revision.index("call/long@email")]
    assert revision.content(action, context).text == f"Since {day}"


def reasons(revision: Revision, noon: datetime, features: dict[str, object]) -> list[str | None]:
    return list(revision.mask(revision.context("ann", noon, features)).reasons)


@pytest.mark.parametrize(
    ("features", "missing"),
    [
        ({"language": "de"}, [None, "name", "since", "name"]),
        ({"language": "de-AT"}, [None, None, "since", None]),
        ({"language": "fr"}, [None, None, "since", None]),
        ({}, [None, None, "since", None]),
        ({"language": "de", "name": "Ann"}, [None, None, "since", None]),
        ({"since": ANN["since"]}, [None, None, None, None]),
    ],
)
def test_an_action_whose_words_cannot_be_written_is_barred(
    revision: Revision, noon: datetime, features: dict[str, object], missing: list[str | None]
) -> None:
    """Actions: none, call in short, call at length, and the gift that includes the short call."""
    expected = [name and f"content: no value for customer.{name}" for name in missing]
    assert reasons(revision, noon, features) == expected


def test_what_is_allowed_can_be_written(revision: Revision, noon: datetime) -> None:
    for language in (None, "de", "de-AT", "EN-gb", "fr"):
        for name in (None, "Ann"):
            for since in (None, noon):
                context = revision.context(
                    "ann", noon, {"language": language, "name": name, "since": since}
                )
                for index in revision.mask(context).indices:
                    assert revision.content(revision.actions[index], context)


def test_an_agent_whose_words_need_nothing_has_no_such_rule(build: Callable[..., Revision]) -> None:
    assert "content" not in {rule.name for rule in build().guardrails}


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ({"text": "{{ x }}"}, ("text",)),
        ({"subject": "{{ x }}", "text": "{{ y }}"}, ("subject",)),
        ({"subject": "two\nlines"}, ("subject",)),
        ({"text": "ok", "locales": {"de": {"text": "{{ x }}"}}}, ("locales", "de", "text")),
        ({"locales": {"de": {"subject": "{{ x }}"}}}, ("locales", "de", "subject")),
    ],
)
def test_a_wrong_template_says_where_it_stands(words: object, path: tuple[str, ...]) -> None:
    offers = {"o": {"kind": "service", "channels": ["email"], "variants": {"v": words}}}
    with pytest.raises(TemplateError) as caught:
        Catalog(*documents(offers))
    assert caught.value.path == ("offers", "o", "variants", "v", *path)
    assert str(caught.value) == f"{'.'.join(caught.value.path)}: {caught.value.message}"
    assert isinstance(caught.value, ValueError)
