"""Content: what a customer reads, in the customer's language, from templates in a sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from agents.actions import Action
from agents.context import MAX_TEXT, FeatureValue
from agents.spec import Agent, CustomerField, Wording, Workspace
from agents.templates.filters import NUMBER, Kind
from agents.templates.syntax import Field
from agents.templates.template import Template, read_template

_KINDS: dict[str, Kind] = {
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "category": "text",
    "set": "set",
    "text": "text",
    "instant": "instant",
    "zone": "text",
}


class TemplateError(ValueError):
    """A template cannot be accepted.

    Attributes:
        path: where it stands in the agent's document.
        message: what is wrong with it.
    """

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"{'.'.join(path)}: {message}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """An action's words for one customer.

    Args:
        locale: the language they are written in, empty if the workspace declares none.
        includes: by offer, the words of what is sent along.
    """

    subject: str
    text: str
    locale: str
    includes: Mapping[str, Rendered]


class Catalog:
    """The checked templates of one agent.

    Language tags are compared without regard to case. 'de-AT' falls back to 'de', then to the
    variant's own words; these also serve whoever has no or another language.

    Attributes:
        locales: the tags in which anything is written beside the variants' own words, lower case.

    Raises:
        TemplateError: a template is refused; the first in the order of the document.
    """

    def __init__(self, workspace: Workspace, agent: Agent) -> None:
        self._workspace, self._agent = workspace, agent
        self._fields = tuple(_field(name, field) for name, field in workspace.customer.items())
        self._zone_field = next((f for f, c in workspace.customer.items() if c.type == "zone"), "")
        self._needs: dict[tuple[str, str, str], frozenset[str]] = {}
        self._tags: dict[tuple[str, str], dict[str, str]] = {}
        self._plain: dict[tuple[str, str, str], Rendered] = {}  # words without any field
        for offer, document in agent.offers.items():
            for variant in document.variants:
                self._check(offer, variant)
        self.locales = frozenset(tag for tags in self._tags.values() for tag in tags)

    def locale_of(self, features: Mapping[str, FeatureValue]) -> str:
        """Return the language that a customer is written to in, as far as there are words in it.

        That is the customer's tag, else the workspace's default, else empty.
        """
        spoken = self._workspace.locales
        if spoken is None:
            return ""
        tag = features.get(spoken.field)
        return tag if isinstance(tag, str) and tag else spoken.default

    def needs(self, action: Action, locale: str) -> frozenset[str]:
        """Return the fields without which an action's words may be impossible to write.

        Those of the offers it includes are among them. A field behind `default` or guarded by
        `is defined` is not needed.
        """
        return frozenset().union(
            *(
                self._needs.get((offer, variant, self._tag(offer, variant, locale)), ())
                for offer, variant in self._parts(action)
            )
        )

    def render(self, action: Action, features: Mapping[str, FeatureValue]) -> Rendered:
        """Write an action's words for a customer; `none` has none.

        Of an offer that is sent along, the first variant is written.

        Raises:
            ContentError: a field that is needed is missing.
        """
        locale = self.locale_of(features)
        written = {
            offer: self._write(offer, variant, locale, features)
            for offer, variant in self._parts(action)
        }
        own = written.pop(action.offer, Rendered("", "", locale, {}))
        return Rendered(own.subject, own.text, own.locale, written)

    def _parts(self, action: Action) -> Iterator[tuple[str, str]]:
        if not action.is_none:
            yield action.offer, action.variant
        for offer in action.includes:
            yield offer, next(iter(self._agent.offers[offer].variants))

    def _write(
        self, offer: str, variant: str, locale: str, features: Mapping[str, FeatureValue]
    ) -> Rendered:
        tag = self._tag(offer, variant, locale)
        plain = self._plain.get((offer, variant, tag))
        if plain is not None:
            return plain
        own, default = self._agent.offers[offer].variants[variant], self._workspace.locales
        words: Wording = own.locales[tag] if tag else own
        zone = features.get(self._zone_field)
        templates = self._template(words.subject), self._template(words.text)
        subject, text = (
            template.render(
                features,
                zone=zone if isinstance(zone, str) else self._workspace.zone,
                currency=self._workspace.currency,
            )
            for template in templates
        )
        written = Rendered(subject, text, tag or (default.default if default else ""), {})
        if all(template.plain for template in templates):
            self._plain[offer, variant, tag] = written
        return written

    def _template(self, source: str) -> Template:
        return read_template(source, self._fields)

    def _tag(self, offer: str, variant: str, locale: str) -> str:
        """Return the tag, as it is written, of the translation to use; empty for the own words."""
        tags = self._tags.get((offer, variant))
        if tags:
            for tag in fallbacks(locale):
                if tag in tags:
                    return tags[tag]
        return ""

    def _check(self, offer: str, variant: str) -> None:
        path = ("offers", offer, "variants", variant)
        own = self._agent.offers[offer].variants[variant]
        self._check_words((offer, variant, ""), path, own)
        if own.locales:
            self._tags[offer, variant] = {tag.lower(): tag for tag in own.locales}
            for tag, words in own.locales.items():
                self._check_words((offer, variant, tag), (*path, "locales", tag), words)

    def _check_words(
        self, key: tuple[str, str, str], path: tuple[str, ...], words: Wording
    ) -> None:
        needs: frozenset[str] = frozenset()
        for part, source in (("subject", words.subject), ("text", words.text)):
            if part == "subject" and not source.isprintable():
                raise TemplateError((*path, part), "expected a subject on one line")
            try:
                needs |= self._template(source).needs
            except ValueError as error:
                raise TemplateError((*path, part), str(error)) from None
        if needs:
            self._needs[key] = needs


def fallbacks(locale: str) -> Iterator[str]:
    """Yield a language tag in lower case, then what it falls back to, without the empty one.

    Example:
        >>> list(fallbacks("de-AT"))
        ['de-at', 'de']
    """
    tag = locale.lower()
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


def nearest(locale: str, among: Iterable[str]) -> str:
    """Return the first of a language tag's fallbacks that is among some, empty if none is."""
    known = frozenset(among)
    return next((tag for tag in fallbacks(locale) if tag in known), "")


def _field(name: str, field: CustomerField) -> Field:
    if field.type == "set":
        return Field(name, "set", sum(len(value) for value in field.values))
    if field.type == "category":
        return Field(name, "text", max(len(value) for value in field.values))
    kind = _KINDS[field.type]
    return Field(name, kind, MAX_TEXT if kind == "text" else NUMBER)
