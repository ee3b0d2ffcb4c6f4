"""Many actions: 500 of them, most of which do little."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import ClassVar

from agents.catalog import example_folder, write_example
from agents.load import compile_agent, load_workspace
from agents.revision import Revision
from simulators.market.lazily import later
from simulators.market.market import Market
from simulators.market.spec import Effect, Weights, WorldSpec
from simulators.schema import name_uniform
from simulators.worlds.variants import load_variant

ACTIONS = 500
"""Actions of the catalogue, `none` not counted."""

_AGENT = "catalogue"
_NORMAL = NormalDist()
_FULL, _LAST = 62, 1  # offers of two wordings, 8 actions each, and one of a single wording: 4
_KINDS = ("service", "education", "retention", "promotion")
_GOOD = ("renewed", "upgraded")
_TASTES = ("shock", "ending", "heavy", "roaming", "app", "price", "ease", "appetite")
_OFFER_SD, _TASTE_SD, _WORDS_SD = 1.5, 4.0, 1.5
_TASTED = 2  # tastes that decide how one offer is taken

_OFFER = """\
  offer_{number}:
    kind: {kind}
    cost: {cost}
    eligible: customer.tenure_months >= {months}
    variants:
{variants}
    channels: [email, sms, push]
"""
_VARIANTS = {
    "plain": '      plain: {{text: "Offer {number}, in plain words."}}',
    "warm": '      warm: {{text: "Offer {number}, in warmer words."}}',
}


def catalogue_text() -> str:
    """Return the YAML of an agent with 500 actions for the telecom workspace.

    Outcomes, guardrails, policy and holdout are those of the packaged agent `retention`.

    Example:
        >>> catalogue_text().count("kind: "), catalogue_text().splitlines()[0]
        (63, 'agent: catalogue')
    """
    with example_folder("telecom") as folder:
        text = (folder / "agents" / "retention.yaml").read_text(encoding="utf-8")
    head = text[text.index("outcomes:") : text.index("offers:")]
    rules = text[text.index("guardrails:") :].replace("price-change", _AGENT)
    offers = "\n".join(_offer(number) for number in range(_FULL + _LAST))
    return f"agent: {_AGENT}\ndescription: 500 actions.\n\n{head}offers:\n{offers}\n{rules}"


def write_catalogue(folder: Path) -> Path:
    """Write the telecom workspace with the agent `catalogue` alone; return its folder.

    Raises:
        StateError: the folder holds something already, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as made:
        ...     written = load_workspace(write_catalogue(Path(made) / "catalogue"))
        >>> len(written.revisions["catalogue"].actions)
        501
    """
    write_example("telecom", folder)
    (folder / "agents" / "retention.yaml").unlink()
    (folder / "agents" / f"{_AGENT}.yaml").write_text(catalogue_text(), encoding="utf-8")
    return folder


@cache
def catalogue_revision() -> Revision:
    """Return the agent `catalogue`."""
    with example_folder("telecom") as folder:
        workspace = load_workspace(folder).workspace
    return compile_agent(catalogue_text(), f"{_AGENT}.yaml", workspace)


def _offer(number: int) -> str:
    words = _words(number)
    return _OFFER.format(
        number=number,
        kind=_KINDS[number % len(_KINDS)],
        cost=round(0.5 * name_uniform("cost", f"offer_{number}"), 2),
        months=number // 4,
        variants="\n".join(_VARIANTS[word].format(number=number) for word in words),
    )


def _words(number: int) -> tuple[str, ...]:
    return tuple(_VARIANTS)[: 2 if number < _FULL else 1]


def _normal(*names: str) -> float:
    return _NORMAL.inv_cdf(name_uniform("many_actions", *names))


def _effects(number: int) -> tuple[Effect, ...]:
    """Return what one offer does: on one outcome, by a few tastes, and by its words."""
    offer = f"offer_{number}"
    word = _GOOD[number % len(_GOOD)]
    ranked = sorted(_TASTES, key=lambda taste: name_uniform("rank", offer, taste))
    weights: Weights = {"one": _OFFER_SD * _normal(offer)}
    weights |= {taste: _TASTE_SD * _normal(offer, taste) for taste in ranked[:_TASTED]}
    own = (
        Effect(offer=offer, variant=words, on={word: {"one": _WORDS_SD * _normal(offer, words)}})
        for words in _words(number)
    )
    return (Effect(offer=offer, on={word: weights}), *own)


def _spec() -> WorldSpec:
    spec = load_variant("many_actions", of="telecom")
    made = (effect for number in range(_FULL + _LAST) for effect in _effects(number))
    return spec.model_copy(update={"effects": (*spec.effects, *made)})


class ManyActions(Market):
    """Customers of `telecom`, and a catalogue of 500 actions that nobody can try one by one.

    **Actions.** Those of `catalogue_revision()`: 63 offers, in two wordings (the last one in one),
    by email in the morning or evening, by SMS and by push. `write_catalogue` writes its workspace.
    The packaged agent `retention` does here what it does in `telecom`.

    **Observation.** As in `telecom`.

    **Reward.** As in `telecom`: values of the agent's outcomes, less the action's cost. An offer
    helps renewals or upgrades, never both.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact, as of `Market`. An offer's effect is normal, sd 1.5, and 4 along each
    of two tastes of its own; that of its wording normal, sd 1.5; all log-odds before channel, hour
    and fatigue. The numbers are SHA-256 of names: another seed gives other customers, never
    another truth.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(_spec)

    @classmethod
    def usual_revision(cls) -> Revision:
        """Return the agent with the 500 actions."""
        return catalogue_revision()

    @classmethod
    def suits(cls, revision: Revision) -> bool:
        """Say whether it is the agent with the 500 actions."""
        names = revision.workspace.workspace, revision.agent.agent
        return names == (cls.spec.example, _AGENT)
