"""A table's groups are those of its customers one by one."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from agents.context import Context
from agents.groups import Group, assign
from agents.revision import Revision
from agents.spec import Agent, CustomerField, Holdout, Offer, Outcome, Variant, Workspace
from agents.spec.channels import Channel
from agents.spec.workspace import UniversalControl
from agents.tabular.groups import GROUPS, group_table
from agents.tabular.reading import read_batches

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SAID = ("treatment", "control", "random", "other")


def revision_of(holdout: Holdout, universal: UniversalControl | None, kind: str) -> Revision:
    values = {"category": SAID}.get(kind, ())
    said = CustomerField.model_validate({"type": kind, "values": values})
    workspace = Workspace(
        workspace="w", currency="EUR", zone="UTC", customer={"said": said},
        channels={"email": Channel()}, universal_control=universal,
    )  # fmt: skip
    agent = Agent(
        agent="a",
        outcomes={"bought": Outcome.model_validate({"value": 1.0, "window": "7d"})},
        offers={"o": Offer(kind="service", variants={"v": Variant()}, channels=("email",))},
        holdout=holdout,
    )
    return Revision(workspace, agent)


@pytest.mark.parametrize("universal", [None, UniversalControl(share=0.2, salt="all")])
@pytest.mark.parametrize(
    ("holdout", "kind", "groups"),
    [
        (Holdout(control=0.3, random=0.25, salt="x"), "category", set(Group)),
        (Holdout(control=0.0, random=0.0), "category", {Group.TREATMENT}),
        (Holdout(control=0.0, random=0.99), "category", {Group.TREATMENT, Group.RANDOM}),
        (Holdout(managed="said"), "category", set(Group)),
        (Holdout(managed="said"), "text", set(Group)),
        (Holdout(managed="said"), "boolean", {Group.CONTROL}),
    ],
)
def test_groups_of_a_table(
    holdout: Holdout, kind: str, groups: set[Group], universal: UniversalControl | None
) -> None:
    revision = revision_of(holdout, universal, kind)
    said = [None if n % 5 == 4 else SAID[n % 5] for n in range(400)]
    values: list[bool | str | None] = (
        [n % 2 == 0 for n in range(400)] if kind == "boolean" else [*said]
    )
    names = [f"customer {n}" for n in range(400)]
    rows = next(
        read_batches(
            revision, pa.table({"customer": names, "said": values}), at=AT, contacts=None,
            events=None, usage=None, batch=400,
        )
    )  # fmt: skip
    expected = [
        assign(revision.workspace, holdout, Context(name, AT, {} if v is None else {"said": v}))
        for name, v in zip(names, values, strict=True)
    ]
    assert [GROUPS[code] for code in group_table(rows).tolist()] == expected
    assert set(expected) == groups | ({Group.CONTROL} if universal else set())
