"""What loading costs beside a plain YAML parser: `python -m agents.benchmark`."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from agents import benchmark_mask
from agents.catalog import example_folder
from agents.load import load_workspace

AGENTS = 50
OFFERS = 40
REPEATS = 5
LIMIT = 3.0

_HEAD = """\
agent: {name}
description: One of many agents, written as people write them.
audience: customer.tenure_months >= 1

outcomes:
  renewed: {{value: 80, window: 14d, metric: primary}}
  upgraded: {{value: 30, window: 7d}}
  complained: {{value: -20, window: 7d, metric: guardrail}}

guardrails:
  service_first: {{rule: precedence, order: [service, retention, education, promotion]}}
  calm: {{rule: suppression, when: customer.open_complaint, except: {{kinds: [service]}}}}
  offer_pause: {{rule: cooldown, pause: 14d, scope: offer}}
  channel_limit: {{rule: frequency_cap, max: 2, per: 14d, scope: channel}}

policy: {{floor: 0.05}}
holdout: {{control: 0.1, random: 0.1, salt: {name}}}

offers:
"""
_OFFER = """\
  offer_{number}:
    kind: {kind}
    value: 20
    cost: 0.5
    start: 2026-01-01
    end: 2027-12-31
    eligible: customer.tenure_months > {months} && customer.plan != 'unlimited'
    variants:
      plain: {{subject: "Number {number}", text: "Offer {number} for {{{{ customer.plan }}}}."}}
      warm: {{subject: "For you: {number}", text: "A warmer wording of offer {number}, for you."}}
    channels: [email, push]
    tags: [spring]
"""
_KINDS = ("service", "education", "retention", "promotion")


def write_many(folder: Path, agents: int = AGENTS, offers: int = OFFERS) -> list[Path]:
    """Write a workspace of many agents and offers; return its files."""
    (folder / "agents").mkdir(parents=True)
    with example_folder("telecom") as example:
        shared = (example / "workspace.yaml").read_text(encoding="utf-8")
    (folder / "workspace.yaml").write_text(shared, encoding="utf-8")
    for index in range(agents):
        parts = [_HEAD.format(name=f"agent_{index}")]
        for number in range(offers):
            kind, months = _KINDS[number % len(_KINDS)], (index * offers + number) % 240
            parts.append(_OFFER.format(number=number, kind=kind, months=months))
        path = folder / "agents" / f"agent_{index}.yaml"
        path.write_text("".join(parts), encoding="utf-8")
    return [folder / "workspace.yaml", *sorted((folder / "agents").iterdir())]


def measure_load(agents: int = AGENTS, offers: int = OFFERS, repeats: int = REPEATS) -> Table:
    """Time loading and checking a workspace beside parsing the same files, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_many(Path(folder) / "many", agents, offers)
        plain, whole = [], []
        for _ in range(repeats):
            plain.append(_seconds(lambda: _parse(files)))
            whole.append(_seconds(lambda: load_workspace(Path(folder) / "many")))
    parse, load = statistics.median(plain), statistics.median(whole)
    table = Table(title=f"{agents} agents, {agents * offers:,} offers; medians of {repeats}")
    for heading in ("what", "seconds", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("ruamel.yaml alone", f"{parse:.2f}", "1.00", "")
    table.add_row("load and check", f"{load:.2f}", f"{load / parse:.2f}", f"{LIMIT:.2f}")
    return table


def main() -> None:
    """Print every measure of this room."""
    Console().print(measure_load())
    benchmark_mask.main()


def _parse(files: list[Path]) -> None:
    for path in files:
        YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
