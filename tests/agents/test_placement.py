from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from agents.revision import Revision

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
    mask = revision.mask(revision.context("ann", noon, features, placement=asked))
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
    mask = revision.mask(revision.context("ann", noon, features, placement=asked))
    assert mask.reasons[revision.index(action)] == reason


def test_a_workspace_without_placements_shows_nothing_in_one(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build()
    assert revision.mask(revision.context("ann", noon, features, placement="hero")).all_barred
    assert not revision.mask(revision.context("ann", noon, features)).all_barred
