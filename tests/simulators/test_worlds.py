from __future__ import annotations

from collections.abc import Callable

import pytest

from agents.errors import UnknownNameError
from agents.revision import Revision
from simulators.examples import example_revision
from simulators.worlds import WORLDS, create_world, default_world


def test_every_world_is_built_by_its_name() -> None:
    for name, world in WORLDS.items():
        built = create_world(name, example_revision(*world.made_for), customers=2)
        assert type(built) is world
        assert built.name == name


def test_every_world_documents_what_a_researcher_asks() -> None:
    for world in WORLDS.values():
        for section in (
            "Actions", "Observation", "Reward", "Episode end", "Ground truth", "Version history",
        ):  # fmt: skip
            assert f"**{section}.**" in str(world.__doc__)


def test_a_market_is_chosen_by_the_trade_it_knows(
    revision: Revision, rich: Revision, edited: Callable[[str, str], Revision]
) -> None:
    assert default_world(revision) == "retention"
    assert default_world(edited("  loyalty_credit:", "  gift_box:")) == "retention"
    assert default_world(rich) == "generic"


def test_a_market_without_an_outcome_of_the_agent_is_refused(rich: Revision) -> None:
    message = (
        r"^the world 'retention' does not fit agent '\w+': expected one of its outcomes renewed,"
        r" upgraded, complained, unsubscribed, got purchase, refund; the world 'generic' fits any"
    )
    outcomes = {n: o for n, o in rich.agent.outcomes.items() if "complained" not in (n, o.event)}
    agent = rich.agent.model_copy(update={"outcomes": outcomes})
    with pytest.raises(ValueError, match=message):
        create_world("retention", Revision(rich.workspace, agent), customers=2)


def test_a_market_whose_customers_have_other_fields_is_refused(revision: Revision) -> None:
    plan = revision.workspace.customer["plan"].model_copy(update={"values": ("gold", "silver")})
    customer = {**revision.workspace.customer, "plan": plan}
    workspace = revision.workspace.model_copy(update={"customer": customer})
    message = "^the world 'retention' does not fit the workspace: customer.plan: .*'generic' fits"
    with pytest.raises(ValueError, match=message):
        create_world("retention", Revision(workspace, revision.agent), customers=2)


def test_an_unknown_world_leads_to_the_nearest(revision: Revision) -> None:
    message = r"^there is no world 'retension'; did you mean 'retention'\?$"
    with pytest.raises(UnknownNameError, match=message):
        create_world("retension", revision)
