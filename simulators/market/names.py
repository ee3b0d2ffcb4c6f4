"""Names of a world's document that must exist where they are used, and values that must fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

from agents.errors import did_you_mean
from agents.loading.faults import Fault
from simulators.market.spec import ONE, Change, FieldSpec, SignalSpec, Weights, WorldSpec

_DAY = timedelta(days=1)


def require_names(spec: WorldSpec) -> None:
    """Refuse a world that names what it does not have.

    Raises:
        ValueError: the first place, and what was expected there.
    """
    for path, message in name_faults(spec):
        raise ValueError(f"world {spec.world!r}, {'.'.join(path)}: {message}")


def name_faults(spec: WorldSpec) -> Iterator[Fault]:
    """Yield every name that is not known where it stands, as (path of keys, message)."""
    yield from _customers(spec)
    yield from _signals(spec)
    yield from _outcomes(spec)
    yield from _messages(spec)
    yield from _market(spec)


def _unknown(
    path: tuple[str, ...], names: Iterable[str], known: Collection[str]
) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            yield (*path, name), f"unknown name {name!r}; {did_you_mean(name, known)}"


def _customers(spec: WorldSpec) -> Iterator[Fault]:
    earlier = {ONE}
    for name, trait in spec.traits.items():
        yield from _unknown(("traits", name, "of"), trait.of, earlier)
        earlier.add(name)
    for name, kind in spec.kinds.items():
        yield from _unknown(("kinds", name, "of"), kind.of, earlier)
    for name, field in spec.fields.items():
        for path, weights in _field_sums(field):
            yield from _unknown(("fields", name, *path), weights, earlier)
    if spec.visits is not None:
        yield from _unknown(("visits", "of"), spec.visits.of, earlier)
        for slot, weights in spec.visits.slots.items():
            yield from _unknown(("visits", "slots", slot), weights, earlier)


def _field_sums(field: FieldSpec) -> Iterator[tuple[tuple[str, ...], Weights]]:
    if field.number is not None:
        yield ("number", "of"), field.number.of
    if field.chance is not None:
        yield ("chance", "of"), field.chance.of
    if field.instant is not None:
        yield ("instant", "of"), field.instant.of
    for maker, sums in (("choice", field.choice and field.choice.choice),
                        ("held", field.held and field.held.held)):  # fmt: skip
        for value, weights in (sums or {}).items():
            yield (maker, maker, value), weights


def _signals(spec: WorldSpec) -> Iterator[Fault]:
    known = {ONE, *spec.traits}
    for name, signal in spec.signals.items():
        path = ("signals", name)
        if name in known:
            yield path, f"expected a name of its own, got {name!r}, which is a trait"
        yield from _signal(path, signal, known, spec)
        known.add(name)


def _signal(
    path: tuple[str, ...], signal: SignalSpec, known: Collection[str], spec: WorldSpec
) -> Iterator[Fault]:
    yield from _unknown((*path, "product"), signal.product, known)
    if signal.absolute is not None:
        yield from _unknown((*path, "absolute"), [signal.absolute], known)
    if signal.wave is not None:
        yield from _unknown((*path, "wave"), signal.wave[:1], known)
    if signal.field is None:
        return
    yield from _unknown((*path, "field"), [signal.field], spec.fields)
    maker = spec.fields.get(signal.field)
    if maker is not None and maker.instant is not None:
        yield (*path, "field"), "expected a field that is no instant; nothing can depend on one"
    elif maker is not None and (maker.number is None and maker.chance is None) != (
        signal.equals is not None
    ):
        yield path, "expected 'equals' for a category, a set or a zone, and for nothing else"
    if signal.low == signal.high:
        yield path, f"expected 'low' and 'high' to differ, got {signal.low:g} twice"


def _outcomes(spec: WorldSpec) -> Iterator[Fault]:
    names = {ONE, *spec.traits, *spec.signals}
    for word, outcome in spec.outcomes.items():
        path = ("outcomes", word)
        yield from _unknown((*path, "base"), outcome.base, names)
        yield from _unknown((*path, "kinds"), outcome.kinds, spec.kinds)
        for place, change in enumerate(outcome.changes):
            here = (*path, "changes", str(place))
            yield from _unknown((*here, "field"), [change.field], spec.fields)
            if change.field in spec.fields and not _fits(change, spec.fields[change.field]):
                yield (*here, "value"), f"{change.value!r} is no value of {change.field!r}"


def _fits(change: Change, field: FieldSpec) -> bool:
    value = change.value
    if field.choice is not None:
        return value == "next" or value in field.choice.choice
    if field.chance is not None:
        return isinstance(value, bool)
    return field.number is not None and isinstance(value, int | float) and value is not True


def _messages(spec: WorldSpec) -> Iterator[Fault]:
    names = {ONE, *spec.traits, *spec.signals}
    for place, effect in enumerate(spec.effects):
        path = ("effects", str(place), "on")
        yield from _unknown(path, effect.on, spec.outcomes)
        for word, weights in effect.on.items():
            yield from _unknown((*path, word), weights, names)
    for word, sums in (("channels", spec.channels), ("windows", spec.windows)):
        for name, weights in sums.items():
            yield from _unknown((word, name), weights, names)
    yield from _unknown(("logging",), spec.logging or {}, names)


def _market(spec: WorldSpec) -> Iterator[Fault]:
    stocked: set[str] = set()
    for place, inventory in enumerate(spec.inventory):
        path = ("inventory", str(place))
        yield from _unknown((*path, "outcome"), [inventory.outcome], spec.outcomes)
        if inventory.offer in stocked:
            yield (
                (*path, "offer"),
                f"expected one stock of an offer, got two of {inventory.offer!r}",
            )
        stocked.add(inventory.offer)
        if inventory.every is not None and inventory.every % _DAY:
            yield (*path, "every"), f"expected whole days, got {inventory.every}"
    for place, season in enumerate(spec.seasons):
        yield from _unknown(("seasons", str(place), "outcomes"), season.outcomes, spec.outcomes)
    for place, shock in enumerate(spec.shocks):
        yield from _unknown(("shocks", str(place), "on"), shock.on, spec.outcomes)
    for place, life in enumerate(spec.lives):
        if life.retired is not None and life.retired <= life.launched:
            message = f"expected a day after {life.launched}, when it is launched"
            yield ("lives", str(place), "retired"), f"{message}, got {life.retired}"
