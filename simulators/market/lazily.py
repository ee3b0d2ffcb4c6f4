"""Documents of worlds are read when they are first asked for: there are many, one is played."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Generic, ParamSpec, Protocol, TypeVar, cast

from simulators.market.names import require_names
from simulators.market.spec import WorldSpec

P = ParamSpec("P")
T = TypeVar("T")


class _Described(Protocol):
    spec: WorldSpec


class _Lazy(Generic[T]):
    """An attribute of a class that is worked out from the class when it is read."""

    def __init__(self, read: Callable[[type], T]) -> None:
        self._read = read

    def __get__(self, instance: object, owner: type) -> T:
        return self._read(owner)


def later(read: Callable[P, WorldSpec], *args: P.args, **options: P.kwargs) -> WorldSpec:
    """Return the `spec` of a market as a class attribute that is read at its first use, once.

    Args:
        read: such as `simulators.market.load.load_world`.
        *args: of it.
        **options: of it.

    Raises:
        ValueError: at its first use, if it names what it does not have.

    Example:
        >>> from simulators.market.load import load_world
        >>> class Ours:
        ...     spec = later(load_world, "telecom")
        >>> Ours.spec.world
        'telecom'
    """

    @cache
    def checked() -> WorldSpec:
        spec = read(*args, **options)
        require_names(spec)
        return spec

    return cast("WorldSpec", _Lazy(lambda _owner: checked()))  # which reads as one


def of_spec(read: Callable[[WorldSpec], T]) -> T:
    """Return a class attribute of a market that its `spec` tells; read anew each time.

    Args:
        read: what it is.
    """
    return cast("T", _Lazy(lambda owner: read(cast("_Described", owner).spec)))
