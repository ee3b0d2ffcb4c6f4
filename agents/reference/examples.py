"""What the reference page adds to the documents: an example of every rule."""

from __future__ import annotations

EXAMPLES = {
    "action_suppression": """\
  adults_only:
    rule: action_suppression
    when: action.category == 'alcohol' && !(context.user.age >= 18)
""",
    "budget": """\
  gifts: {rule: budget, measure: cost, max: 5000, per: month, on: {kinds: [retention]}}
  enough_help: {rule: budget, min: 200, max: 900, per: week, on: {kinds: [service]}}
""",
    "cooldown": """\
  offer_pause: {rule: cooldown, pause: 14d, scope: offer}
  refused: {rule: cooldown, after: rejection, times: 2, within: 30d, pause: 90d, scope: all}
""",
    "eligibility": """\
  adults: {rule: eligibility, when: customer.age >= 18, on: {kinds: [promotion]}}
""",
    "escalation": """\
  email_first: {rule: escalation, from: email, to: sms, unless: [renewed], wait: 24h, within: 7d}
""",
    "event_suppression": """\
  bought: {rule: event_suppression, after: [upgraded], scope: kind, for: 90d}
""",
    "exclusion_list": """\
  never: {rule: exclusion_list, customers: [c-1001, c-1002]}
""",
    "exclusive": """\
  one_voice: {rule: exclusive, agents: [retention, seller], for: 3d}
""",
    "frequency_cap": """\
  contact_policy: {rule: frequency_cap, max: 3, per: 14d, scope: all}
  weekly: {rule: frequency_cap, max: 1, per: week, window: calendar, scope: kind}
  flash: {rule: frequency_cap, max: 5000, per: 1h, for: total, scope: channel}
""",
    "precedence": """\
  help_first: {rule: precedence, order: [service, retention, education, promotion]}
  no_sales_after: {rule: precedence, order: [service, promotion], after: [complained], within: 30d}
""",
    "sequence": """\
  onboarding:
    rule: sequence
    steps:
      - {channels: [email]}
      - {channels: [push], after: 1d}
    within: 7d
    restart: 90d
    until: [renewed]
""",
    "suppression": """\
  in_anger: {rule: suppression, when: customer.open_complaint, except: {kinds: [service]}}
""",
}
"""By rule, what stands under `guardrails:`; a test loads each."""
