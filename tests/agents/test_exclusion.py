from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from agents.guardrails.base import Rulebook
from agents.guardrails.exclusion import ExclusionList
from agents.revision import Revision
from agents.spec import ExclusionListSpec

EVERYBODY = "{dead: {rule: exclusion_list, customers: [bob, 'Ann']}}"
SALES = "{dead: {rule: exclusion_list, customers: [bob], on: {kinds: [promotion]}}}"


@pytest.mark.parametrize(("customer", "listed"), [("bob", True), ("Ann", True), ("ann", False)])
def test_who_is_listed_gets_nothing(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    customer: str,
    listed: bool,
) -> None:
    revision = build(guardrails=EVERYBODY)
    mask = revision.mask(revision.context(customer, noon, features))
    expected = "dead: the customer is on the list" if listed else None
    assert mask.reasons == (None, *[expected] * (len(revision.actions) - 1))


def test_a_list_may_speak_of_some_actions(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(workspace={"guardrails": SALES})
    mask = revision.mask(revision.context("bob", noon, features))
    barred = {n for n, r in zip(revision.action_ids, mask.reasons, strict=True) if r is not None}
    assert barred == {"sale/plain@sms"}


def test_a_list_whose_file_was_not_read_is_refused(build: Callable[..., Revision]) -> None:
    revision = build()
    book = Rulebook(revision.workspace, revision.agent, revision.actions, revision._language, {})
    spec = ExclusionListSpec(rule="exclusion_list", file="dead.txt")
    with pytest.raises(ValueError, match=r"expected the customers of 'dead\.txt', got its name"):
        ExclusionList.compile("dead", spec, book)
