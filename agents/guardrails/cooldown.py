"""Cooldown: a pause between two contacts of the same scope."""

from __future__ import annotations

from agents.guardrails.base import Rulebook
from agents.guardrails.frequency import FrequencyCap
from agents.spec import CooldownSpec, FrequencyCapSpec


class Cooldown:
    """At most one contact of a scope in any span of `pause`: a frequency cap of one."""

    @staticmethod
    def compile(name: str, spec: CooldownSpec, book: Rulebook) -> FrequencyCap:
        """Compile a declared cooldown over the agent's actions."""
        cap = FrequencyCapSpec(rule="frequency_cap", max=1, per=spec.pause, scope=spec.scope)
        return FrequencyCap.compile(name, cap, book)
