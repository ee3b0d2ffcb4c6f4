"""The workspace that is measured: the telecom example with eight guardrails, and a large agent."""

from __future__ import annotations

from pathlib import Path

from agents.catalog import write_example

SMALL, LARGE = "retention", "catalogue"
ACTIONS = {SMALL: 24, LARGE: 200}
"""Actions of each agent, `none` not counted."""

GUARDRAILS = 8
"""Rules that bind each agent: seven of its own and one of the workspace."""

_RULES = """\
guardrails:
  service_before_sales:
    rule: eligibility
    when: "!customer.open_complaint"
    on: {kinds: [education, retention, promotion]}
  bill_shock: {rule: suppression, when: customer.bill_change > 1.0, on: {kinds: [promotion]}}
  offer_pause: {rule: cooldown, pause: 14d, scope: offer}
  channel_limit: {rule: frequency_cap, max: 2, per: 14d, scope: channel}
  spend: {rule: budget, measure: cost, max: 1000000000, per: month}
  help_first: {rule: precedence, order: [service, promotion], after: [complained], within: 30d}
  renewed_already: {rule: event_suppression, after: [renewed], scope: offer, for: 30d}

policy: {learner: hybrid_thompson, floor: 0.05}
holdout: {control: 0, random: 0}
"""  # without groups that are not asked the policy: every decision is one of the policy's

_OFFER = """\
  offer_{number}:
    kind: {kind}
    cost: 0.5
    eligible: customer.tenure_months >= {number}
    variants:
      plain: {{text: "Offer {number}, in plain words."}}
      warm: {{text: "Offer {number}, in warmer words."}}
    channels: [email, sms, push]
"""
_KINDS = ("service", "education", "retention", "promotion")


def write_workspace(folder: Path) -> Path:
    """Write the workspace; return its folder.

    Example:
        >>> import tempfile
        >>> from agents.load import load_workspace
        >>> with tempfile.TemporaryDirectory() as made:
        ...     loaded = load_workspace(write_workspace(Path(made) / "workspace"))
        >>> found = loaded.revisions
        >>> {name: len(each.actions) - 1 for name, each in found.items()} == ACTIONS
        True
        >>> {len(x.agent.guardrails) + len(x.workspace.guardrails) for x in found.values()}
        {8}
    """
    write_example("telecom", folder)
    path = folder / "agents" / "retention.yaml"
    telecom = path.read_text(encoding="utf-8")
    offers = telecom[: telecom.index("guardrails:")]
    path.write_text(offers + _RULES, encoding="utf-8")
    head = offers[: offers.index("offers:")].replace(f"agent: {SMALL}", f"agent: {LARGE}")
    many = "".join(
        _OFFER.format(number=number, kind=_KINDS[number % len(_KINDS)])
        for number in range(ACTIONS[LARGE] // 8)  # two variants, by email at two hours, sms, push
    )
    large = f"{head}offers:\n{many}\n{_RULES}"
    (folder / "agents" / f"{LARGE}.yaml").write_text(large, encoding="utf-8")
    return folder
