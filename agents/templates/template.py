"""Templates: the small part of Jinja2 in which content is written, checked before it is used.

What a template may say is a list of what is allowed, read off its syntax tree: text, fields of
the customer, `if` with comparisons, a few filters. There is no loop, call, assignment, import,
arithmetic or attribute beyond `customer.field`, so a template ends, stays short and reaches
nothing else. Kinds are checked too, so that only a missing field can stop it from being written,
and which fields that may be is known beforehand. What passes is run by Jinja2's sandbox with
these filters alone.

Text is not escaped: the same words go out by push, text message and mail, and whoever puts them
into HTML escapes them there. Values of customers are never read as templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2 import Template as Compiled
from jinja2.filters import do_default, do_title
from jinja2.runtime import Context as Variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agents.context import FeatureValue
from agents.errors import ContentError
from agents.templates.syntax import Field, Reader, check_depth
from agents.units import zone_info

LONGEST = 20_000
"""Characters that a rendered template may have at most."""

_MARKS = re.compile(r"\{[{%#]")


class _Customer:
    """The features of a customer as attributes; a missing one is undefined."""

    def __init__(self, features: Mapping[str, FeatureValue]) -> None:
        self.__dict__.update(features)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places for a customer's fields.

    Args:
        source: as written.
        needs: the customer fields without which it may not be possible to write it.
        plain: whether it is mere text.

    Example:
        >>> template = read_template("Dear {{ customer.name }}", (Field("name", "text", 256),))
        >>> sorted(template.needs)
        ['name']
        >>> template.render({"name": "Ann"}, zone="UTC", currency="EUR")
        'Dear Ann'
    """

    source: str
    needs: frozenset[str]
    plain: bool

    def render(self, features: Mapping[str, FeatureValue], *, zone: str, currency: str) -> str:
        """Write the text for a customer.

        Args:
            features: of the customer.
            zone: IANA name, in which instants are shown.
            currency: written behind amounts of money.

        Raises:
            ContentError: a field that is needed is missing.
        """
        if self.plain:
            return self.source
        missing = sorted(f"customer.{name}" for name in self.needs - features.keys())
        if missing:
            raise ContentError(
                f"expected a value for each field that the content needs, got none for"
                f" {', '.join(missing)}"
            )
        return _compiled(self.source).render(
            customer=_Customer(features), zone=zone, currency=currency
        )


def read_template(source: str, fields: tuple[Field, ...]) -> Template:
    """Check a template against the customer schema.

    Args:
        source: as written.
        fields: what templates may speak of.

    Raises:
        ValueError: it does not parse, says something that is not allowed, names an unknown field,
            mixes kinds of value, or could grow longer than 20,000 characters.
    """
    if _MARKS.search(source) is None:
        return Template(source, frozenset(), plain=True)
    return _read(source, fields)


@lru_cache(maxsize=8_192)
def _read(source: str, fields: tuple[Field, ...]) -> Template:
    reader = Reader(fields)
    try:
        tree = _parsed(source)
        check_depth(tree)
        reader.read(tree.body)
    except RecursionError:
        raise ValueError("expected a template of fewer levels; it nests too deep") from None
    if reader.longest > LONGEST:
        raise ValueError(
            f"expected a template that stays within {LONGEST} characters, got one that may grow"
            f" to {reader.longest}"
        )
    return Template(source, frozenset(reader.needs), plain=False)


def _parsed(source: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(source)
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno} of the template: {error.message}") from None
    except ValueError:  # Python refuses to read a number of thousands of digits
        raise ValueError("expected numbers of at most 1e15, got one too long to read") from None


@lru_cache(maxsize=4_096)
def _compiled(source: str) -> Compiled:
    return _ENVIRONMENT.from_string(source)


def _shown(value: object) -> object:
    """Write a whole number without a point; leave the rest as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _round(value: float, digits: int = 0) -> float:
    return round(value, digits)


@pass_context
def _money(variables: Variables, value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f} {variables['currency']}"


@pass_context
def _date(variables: Variables, value: datetime, pattern: str = "%Y-%m-%d") -> str:
    local = value.astimezone(zone_info(variables["zone"]))
    parts = {"Y": f"{local:%Y}", "m": f"{local:%m}", "d": f"{local:%d}"}
    parts |= {"H": f"{local:%H}", "M": f"{local:%M}"}
    return re.sub(r"%([YmdHM])", lambda match: parts[match[1]], pattern)


def _join(values: tuple[str, ...], between: str = ", ") -> str:
    return between.join(values)


_FILTERS: dict[str, Callable[..., object]] = {
    "default": do_default,
    "upper": str.upper,
    "lower": str.lower,
    "title": do_title,
    "capitalize": str.capitalize,
    "trim": str.strip,
    "round": _round,
    "int": int,
    "money": _money,
    "date": _date,
    "join": _join,
}


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_shown
    )
    tests = {name: environment.tests[name] for name in ("defined", "undefined")}
    environment.globals.clear()
    environment.filters = dict(_FILTERS)
    environment.tests = tests
    return environment


_ENVIRONMENT = _environment()
