"""Who the customers are: latent traits, kinds, and what the company sees of them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from agents.spec import Workspace
from agents.tabular.columns import Column, microseconds, read_columns
from simulators.market.chance import Floats, Ints, Luck
from simulators.market.fields import Draws, Field
from simulators.market.spec import WorldSpec
from simulators.schema import SchemaPopulation


class People:
    """N customers; nothing in here changes by what is done to them.

    A field that the world speaks of and the workspace does not declare has its true values, and
    shows to nobody.

    Args:
        spec: of the world.
        workspace: declares the fields; those of which the world says nothing are drawn by
            `SchemaPopulation`.
        seed: of the world.
        customers: N.
        start: beginning of the world (UTC).
        met: (N,) microseconds since 1970 at which customers are met first; None: at the start.

    Attributes:
        draws: luck and traits.
        traits: (N,) each, by name.
        kind: (N,) positions among the world's kinds.
        gain: (N,) of the kind.
        fields: what the world says of fields, by name.
        rest: the other declared fields, which never change, by name; (N,) each.

    Raises:
        ValueError: the workspace declares a field of the world with another type.
    """

    def __init__(
        self,
        spec: WorldSpec,
        workspace: Workspace,
        *,
        seed: int,
        customers: int,
        start: datetime,
        met: Ints | None = None,
    ) -> None:
        self.count = customers
        if met is None:
            met = np.full(customers, microseconds(start), dtype=np.int64)
        self.draws = draws = Draws(seed, customers, met)
        for name, trait in spec.traits.items():
            value = trait.mean + draws.weighted(trait.of)
            value = value + trait.sd * draws.normal(Luck.TRAIT, name)
            draws.traits[name] = expit(value) if trait.squash else value
        self.traits = draws.traits
        lean = [
            kind.lean + draws.weighted(kind.of) + draws.gumbel(Luck.KIND, name)
            for name, kind in spec.kinds.items()
        ]
        self.kind: Ints = np.argmax(lean, axis=0).astype(np.int64)
        gains = np.array([kind.gain for kind in spec.kinds.values()])
        self.gain: Floats = gains[self.kind]
        self._declared = workspace.customer
        try:
            self.fields = {
                name: Field(name, field, workspace.customer.get(name), draws)
                for name, field in spec.fields.items()
            }
        except ValueError as error:
            raise ValueError(
                f"the world {spec.world!r} does not fit the workspace: {error};"
                " the world 'generic' fits any workspace"
            ) from None
        self._known: dict[str, NDArray[np.bool_]] = {}
        for name in self.fields.keys() & workspace.customer.keys():
            missing = 0.0 if workspace.customer[name].required else spec.fields[name].missing
            self._known[name] = draws.uniform(Luck.MISSING, name) >= missing
        self.rest = _rest(spec, workspace, seed=seed, customers=customers, start=start)

    def columns(self, day: int, rows: Ints | None = None) -> dict[str, Column]:
        """Return all declared fields on a day, of some customers (n,) or all.

        `data` are the true values, `known` says of whom the company knows them.
        """
        chosen = np.arange(self.count) if rows is None else rows
        found = {}
        for name in self._declared:
            if name in self.rest:
                found[name] = self.rest[name].part(chosen)
            else:
                field, known = self.fields[name], self._known[name]
                values = field.values(day, chosen)
                found[name] = Column(field.kind, values, known[chosen], field.words)
        return found


def _rest(
    spec: WorldSpec, workspace: Workspace, *, seed: int, customers: int, start: datetime
) -> dict[str, Column]:
    """Draw the fields that the world says nothing of."""
    rest = {n: f for n, f in workspace.customer.items() if n not in spec.fields}
    if not rest:
        return {}
    plain = workspace.model_copy(update={"customer": rest})
    rows = SchemaPopulation(plain, seed=seed, customers=customers, start=start).rows
    arrays = {name: pa.array([row.get(name) for row in rows]) for name in rest}
    known = {name: array for name, array in arrays.items() if array.null_count < customers}
    table = pa.table({"customer": pa.nulls(customers), **known})
    return read_columns(rest, table, 0)
