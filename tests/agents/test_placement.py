from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from agents.context import Context
from agents.errors import ContextError
from agents.revision import Revision
from agents.tabular.columns import Column
from agents.tabular.masks import Reasons, reason_codes
from agents.tabular.reading import read_batches

CHANNELS = """
  web: {placements: [hero, side]}
  app: {placements: [hero]}
  sms: {}"""
OFFERS = """
  help:
    kind: service
    placements: [side]
    variants: {a: {text: Help}}
    channels: [web, sms]
  sale:
    kind: promotion
    variants: {a: {text: Buy}}
    channels: [web, app, sms]"""
NOT_ASKED = "is for placements, and none is asked"


def asking(context: Context, placement: str) -> Context:
    """Ask for a placement, known or not: the rule bars whatever it does not know."""
    return replace(context, placement=placement)


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("", {"help/a@sms", "sale/a@sms"}),
        ("hero", {"sale/a@web", "sale/a@app"}),
        ("side", {"help/a@web", "sale/a@web"}),
        ("heroo", set()),
        (" ", set()),
    ],
)
def test_only_what_goes_where_it_is_asked_for(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    asked: str,
    allowed: set[str],
) -> None:
    revision = build(workspace={"channels": CHANNELS}, offers=OFFERS)
    mask = revision.mask(asking(revision.context("ann", noon, features), asked))
    found = {name for name, r in zip(revision.action_ids, mask.reasons, strict=True) if r is None}
    assert found == allowed | {"none"}


@pytest.mark.parametrize(
    ("asked", "action", "reason"),
    [
        ("", "sale/a@app", f"placement: app {NOT_ASKED}"),
        ("hero", "sale/a@sms", "placement: sms has no placement 'hero'"),
        ("hero", "help/a@web", "placement: help does not fit 'hero'"),
        ("side", "sale/a@app", "placement: app has no placement 'side'"),
        ("x" * 99, "sale/a@sms", f"placement: no channel has a placement '{'x' * 40}'"),
    ],
)
def test_reasons(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    asked: str,
    action: str,
    reason: str,
) -> None:
    revision = build(workspace={"channels": CHANNELS}, offers=OFFERS)
    mask = revision.mask(asking(revision.context("ann", noon, features), asked))
    assert mask.reasons[revision.index(action)] == reason


def test_a_workspace_without_placements_shows_nothing_in_one(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build()
    context = revision.context("ann", noon, features)
    assert revision.mask(asking(context, "hero")).all_barred
    assert not revision.mask(context).all_barred
    with pytest.raises(ContextError, match=r"^placement: got 'hero'; none is declared$"):
        revision.context("ann", noon, features, placement="hero")


def test_a_placement_that_no_channel_has_is_refused(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(workspace={"channels": CHANNELS}, offers=OFFERS)
    assert revision.context("ann", noon, features, placement="side").placement == "side"
    with pytest.raises(ContextError, match=r"^placement: got 'heroo'; did you mean 'hero'\?$"):
        revision.context("ann", noon, features, placement="heroo")


def test_customers_of_one_batch_may_each_be_asked_about_another_slot(
    build: Callable[..., Revision], noon: datetime
) -> None:
    revision = build(workspace={"channels": CHANNELS}, offers=OFFERS)
    customers = pa.table({"customer": ["ann", "bob", "eve", "joe"]})
    (batch,) = read_batches(
        revision, customers, at=noon, contacts=None, events=None, usage=None, batch=9
    )
    words, codes = ("side", "", "hero"), np.array([2, 1, 0, 1])
    batch.placement = Column("word", codes, np.ones(4, dtype=np.bool_), words)
    reasons = Reasons()
    found = reason_codes(batch, reasons)
    for row, code in enumerate(codes.tolist()):
        single = revision.mask(replace(batch.context(row), placement=words[code]))
        assert batch.context(row).placement == words[code]
        assert reasons.mask(found[row]).reasons == single.reasons
