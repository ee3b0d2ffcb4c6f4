"""Fixed rules: `when EXPR then ACTION else ACTION`, an order of actions, or one action."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.decisions import read_features
from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.expressions import Condition, Language
from agents.revision import Revision
from agents.spec import CustomerField
from agents.units import parse_instant
from agents.yamlsource import read_yaml
from experiments.logs import LoggedDecisions
from experiments.logs.contexts import Contexts
from experiments.logs.places import numbers_of

_WHEN = re.compile(r"^when\s+(?P<when>.+?)\s+then\s+(?P<then>.+?)(?:\s+else\s+(?P<rest>.+))?$")
_FORM = "expected 'when EXPR then ACTION else ACTION', where ACTION may be 'A > B > C'"


@dataclass(frozen=True, slots=True)
class Rule:
    """For whom which actions are taken.

    Args:
        order: ids of actions, or offers, which stand for their actions as the log has them; the
            first that is allowed is taken.
        when: a CEL expression about the customer; None for everyone who is left.
    """

    order: tuple[str, ...]
    when: str | None = None


def parse_rule(text: str) -> tuple[Rule, ...]:
    """Read rules on one line.

    Raises:
        ValueError: it has another form.

    Example:
        >>> parse_rule("when customer.age < 30.0 then tea > cake else none")[0]
        Rule(order=('tea', 'cake'), when='customer.age < 30.0')
        >>> parse_rule("tea > cake")
        (Rule(order=('tea', 'cake'), when=None),)
    """
    rules: list[Rule] = []
    rest: str | None = text.strip()
    while rest is not None:
        found = _WHEN.match(rest)
        if found is None:
            rules.append(Rule(_order(rest)))
            break
        rules.append(Rule(_order(found["then"]), found["when"]))
        rest = found["rest"]
    return tuple(rules)


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a YAML file of `rules:`, each with `when` and `then`; the last may lack `when`.

    Raises:
        LogError: the file cannot be read, or is no such list.
        DocumentError: it is no YAML.
    """
    try:
        data = read_yaml(path.read_text(encoding="utf-8"), str(path)).value
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror}") from error
    listed = data.get("rules") if len(data) == 1 else None
    if not isinstance(listed, list) or not listed:
        raise LogError(f"{path}: expected 'rules:' with a list of 'when' and 'then'")
    return tuple(_rule(path, number, entry) for number, entry in enumerate(listed))


def rule_target(
    log: LoggedDecisions, rules: Sequence[Rule], revision: Revision | None = None
) -> NDArray[np.float64]:
    """Return what rules would have done: probability 1 for one action in every row.

    The first rule decides whose expression is exactly true; one that is unknown is not. Of its
    order the first action that is allowed is taken, then `none`, then any other that is allowed.

    Args:
        log: N decisions.
        rules: at least one.
        revision: whose customer schema expressions speak of; without it the fields are those that
            the log has.

    Returns:
        (N, A) probabilities.

    Raises:
        UnknownNameError: no such action or offer in the log.
        ValueError: an expression that does not compile.
    """
    ranks = _ranks([*(rule.order for rule in rules), (NONE_ID,)], log.actions)  # (R + 1, actions)
    which = _which(log, rules, revision)  # (N,)
    rank = ranks[which[:, None], numbers_of(log)]  # (N, A)
    chosen = np.where(log.allowed, rank, len(log.actions)).argmin(axis=1)  # (N,)
    target = np.zeros_like(log.distribution)  # (N, A)
    target[np.arange(len(log)), chosen] = 1.0
    return target


class Dated(Protocol):
    """Contexts, (n,), and the instants at which they held, (n,)."""

    @property
    def contexts(self) -> Contexts | NDArray[np.object_]:
        """As `LoggedDecisions` has them."""

    @property
    def at(self) -> NDArray[np.datetime64]:
        """UTC."""


def conditions_hold(
    log: Dated, conditions: Sequence[Condition], language: Language
) -> NDArray[np.object_]:
    """Evaluate expressions for every decision: true, false or None where unknown; (N, E)."""
    found = np.full((len(log.at), len(conditions)), None, dtype=np.object_)  # (N, E)
    for row, (record, at) in enumerate(zip(log.contexts.tolist(), log.at, strict=True)):
        bound = language.bind(read_features(record["features"]), parse_instant(f"{at}+00:00"))
        for number, condition in enumerate(conditions):
            value = condition.value(bound)
            found[row, number] = value if isinstance(value, bool) else None
    return found


def language_of(log: LoggedDecisions, revision: Revision | None) -> Language:
    """Return the language of a revision, or one whose fields are those of the log's contexts."""
    if revision is not None:
        return Language(revision.workspace.customer)
    types: dict[str, str] = {}
    for record in log.contexts.tolist():
        for name, value in record["features"].items():
            if value is not None:
                types[name] = _type(value)
    schema = {n: CustomerField.model_validate({"type": t}) for n, t in sorted(types.items())}
    return Language(schema)


def _which(
    log: LoggedDecisions, rules: Sequence[Rule], revision: Revision | None
) -> NDArray[np.intp]:
    """Return the number of the rule that decides each row, and one more where none does; (N,)."""
    language = language_of(log, revision) if any(rule.when for rule in rules) else None
    holds = np.ones((len(log), len(rules) + 1), dtype=np.bool_)  # (N, R + 1)
    if language is not None:
        asked = [number for number, rule in enumerate(rules) if rule.when is not None]
        compiled = [_compiled(language, str(rules[number].when)) for number in asked]
        holds[:, asked] = conditions_hold(log, compiled, language) == True  # noqa: E712 - objects
    return np.asarray(holds.argmax(axis=1))


def _compiled(language: Language, source: str) -> Condition:
    try:
        return language.compile(source)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _ranks(orders: Sequence[Sequence[str]], actions: tuple[str, ...]) -> NDArray[np.int64]:
    """Say how early each order comes to each action of a log; (orders, actions)."""
    ranks = np.empty((len(orders), len(actions)), dtype=np.int64)
    for number, order in enumerate(orders):
        ranks[number, _positions(order, actions)] = np.arange(len(actions))
    return ranks


def _positions(order: Sequence[str], actions: tuple[str, ...]) -> list[int]:
    """Return all actions' numbers, those of an order first, then `none`; (actions,)."""
    meant: dict[str, list[int]] = {}
    for column, name in enumerate(actions):
        meant.setdefault(name.partition("/")[0], []).append(column)
        meant[name] = [*meant.get(name, []), column] if name == NONE_ID else [column]
    first: list[int] = []
    for word in order:
        if word not in meant:
            hint = did_you_mean(word, meant)
            raise UnknownNameError(f"{word!r} is no action or offer of the log; {hint}")
        first += meant[word]
    return list(dict.fromkeys([*first, actions.index(NONE_ID), *range(len(actions))]))


def _order(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(">"))
    if not all(words) or any(" " in word for word in words):
        raise ValueError(f"{_FORM}; got {text!r}")
    return words


def _rule(path: Path, number: int, entry: Any) -> Rule:
    good = isinstance(entry, Mapping) and "then" in entry and entry.keys() <= {"when", "then"}
    then = entry["then"] if good else None
    words = [then] if isinstance(then, str) else then
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise LogError(f"{path}: rules.{number}: expected 'then' with actions, and 'when' at most")
    when = entry.get("when")
    return Rule(tuple(words), None if when is None else str(when))


def _type(value: object) -> str:
    if isinstance(value, Mapping):
        return "instant"
    if isinstance(value, list):
        return "set"
    kinds = {bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "text")
