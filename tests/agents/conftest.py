"""The example workspace, and a small one whose parts a test may replace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from agents.context import Context
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.errors import DocumentError
from agents.groups import Group
from agents.load import LoadedWorkspace, compile_agent, load_workspace, parse_workspace
from agents.memory import Memory
from agents.revision import Revision
from agents.yamlsource import read_yaml

WORKSPACE = {
    "workspace": "small",
    "currency": "EUR",
    "zone": "Europe/Berlin",
    "customer": """
  age: {type: integer, min: 0, max: 120}
  bill: {type: number, max: 1000}
  plan: {type: category, values: [basic, plus]}
  complaint: {type: boolean}
  consent_email: {type: boolean, feature: false}
  time_zone: {type: zone, feature: false}""",
    "channels": """
  email: {cost: 0.25, consent: consent_email}
  sms: {cost: 0.5}""",
}
AGENT = {
    "agent": "helper",
    "outcomes": """
  bought: {value: 10, window: 7d}
  complained: {value: -4, window: 2d, count: each}""",
    "offers": """
  help:
    kind: service
    variants: {short: {text: Help}, long: {text: Here is help}}
    channels: [email, sms]
  sale:
    kind: promotion
    cost: 1
    variants: {plain: {text: Buy}}
    channels: [sms]""",
}
FEATURES = {
    "age": 30,
    "bill": 20.0,
    "plan": "basic",
    "complaint": False,
    "consent_email": True,
    "time_zone": "Europe/Berlin",
}
TURNING_DAYS = (
    datetime(2026, 2, 28, 0, tzinfo=UTC),
    datetime(2026, 3, 28, 12, tzinfo=UTC),
    datetime(2026, 10, 24, 12, tzinfo=UTC),
    datetime(2026, 12, 31, 0, tzinfo=UTC),
)


def _text(*parts: Mapping[str, str]) -> str:
    merged = {key: value for part in parts for key, value in part.items()}
    return "".join(f"{key}: {value}\n" for key, value in merged.items())


def _keep(
    memory: Memory, revision: Revision, context: Context, action: int, decision_id: str
) -> Decision:
    """Keep the decision for an action, whatever the mask says."""
    action_count = len(revision.actions)
    decision = Decision(
        decision_id=decision_id, at=context.at, agent=revision.agent.agent,
        revision=revision.id, policy="test", snapshot="", group=Group.RANDOM,
        reason=Reason.RANDOM, context=context, actions=revision.action_ids,
        mask=revision.mask(context), distribution=np.eye(action_count)[action],
        expected=np.full(action_count, np.nan), action=action, floor=0.0, explored=False,
        send_at=revision.send_at(revision.actions[action], context),
    )  # fmt: skip
    memory.keep(decision, revision)
    return decision


@pytest.fixture(scope="session")
def telecom() -> LoadedWorkspace:
    """The example workspace that comes with the project."""
    root = Path(__file__).parents[2]
    return load_workspace(root / "agents" / "examples" / "telecom")


@pytest.fixture(scope="session")
def workspace_text() -> str:
    """The YAML of the small workspace."""
    return _text(WORKSPACE)


@pytest.fixture(scope="session")
def agent_text() -> str:
    """The YAML of the small workspace's agent; its actions are listed in test_actions."""
    return _text(AGENT)


@pytest.fixture(scope="session")
def build() -> Callable[..., Revision]:
    """A function that compiles the small agent, with top-level keys replaced by YAML text.

    `build(always_act="true", workspace={"currency": "USD"})` replaces one key in each document.
    """

    def compile_small(workspace: Mapping[str, str] | None = None, **agent: str) -> Revision:
        parsed = parse_workspace(read_yaml(_text(WORKSPACE, workspace or {}), "workspace.yaml"))
        return compile_agent(_text(AGENT, agent), "agent.yaml", parsed)

    return compile_small


@pytest.fixture
def features() -> dict[str, object]:
    """A customer whom no rule of the small workspace bars."""
    return dict(FEATURES)


@pytest.fixture(scope="session")
def noon() -> datetime:
    """A Wednesday noon in winter, UTC."""
    return datetime(2026, 1, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def send() -> Callable[..., str]:
    """A function that decides for an action, whatever the mask says, and keeps the decision.

    `send(memory, revision, "help/short@sms", at)` returns the decision's id.
    """
    numbers = count(1)

    def decide(
        memory: Memory, revision: Revision, action_id: str, at: datetime, customer: str = "ann"
    ) -> str:
        context = memory.recall(revision, customer, at, FEATURES)
        index = revision.index(action_id)
        return _keep(memory, revision, context, index, f"d{next(numbers)}").decision_id

    return decide


@pytest.fixture(scope="session")
def draw() -> Callable[..., Decision]:
    """A function that decides by a uniform draw over the allowed actions but `none`, and keeps it.

    `draw(memory, revision, customer, at, rng)` knows nothing of the customer but the zone.
    """

    def decide(
        memory: Memory, revision: Revision, customer: str, at: datetime, rng: np.random.Generator
    ) -> Decision:
        context = memory.recall(revision, customer, at, {"time_zone": FEATURES["time_zone"]})
        allowed = [int(i) for i in revision.mask(context).indices if i] or [0]
        name = f"{revision.agent.agent}-{customer}-{at.isoformat()}"
        return _keep(memory, revision, context, int(rng.choice(allowed)), name)

    return decide


@pytest.fixture(scope="session")
def instants() -> Callable[..., Iterator[datetime]]:
    """A function that draws instants of two days, in order: `instants(rng, start, count)`."""

    def drawn(rng: np.random.Generator, start: datetime, count: int) -> Iterator[datetime]:
        for second in sorted(rng.integers(0, 2 * 86_400, count)):
            yield start + timedelta(seconds=int(second))

    return drawn


@pytest.fixture(scope="session")
def period() -> Callable[[str, datetime], str]:
    """A function that names a calendar period of Berlin in another way than the code does."""

    def name(per: str, instant: datetime) -> str:
        local = instant.astimezone(ZoneInfo("Europe/Berlin"))
        quarter = f"{local.year} quarter {(local.month + 2) // 3}"
        formats = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "week": "%G-%V", "month": "%Y-%m"}
        return quarter if per == "quarter" else local.strftime(formats.get(per, "%Y"))

    return name


@pytest.fixture(scope="session")
def turning_days() -> tuple[datetime, ...]:
    """The days on which clocks change, and ends of months, quarters and years, in order."""
    return TURNING_DAYS


@pytest.fixture(scope="session", params=TURNING_DAYS, ids=str)
def start(request: pytest.FixtureRequest) -> datetime:
    """Each of the turning days in its turn."""
    day: datetime = request.param
    return day


@pytest.fixture(scope="session")
def hear() -> Callable[..., None]:
    """A function that reports an event: `hear(memory, "bought", at, decision_id)`."""
    numbers = count(1)

    def report(
        memory: Memory, word: str, at: datetime, decision_id: str = "", customer: str = "ann"
    ) -> None:
        event = OutcomeEvent(f"e{next(numbers)}", decision_id, word, at, customer=customer)
        memory.hear(event)

    return report


@pytest.fixture(scope="session")
def barred() -> Callable[..., dict[str, str]]:
    """A function that names the actions barred now, with the reasons, from a memory."""

    def ask(
        memory: Memory, revision: Revision, at: datetime, customer: str = "ann", **known: object
    ) -> dict[str, str]:
        context = memory.recall(revision, customer, at, {**FEATURES, **known})
        pairs = zip(revision.action_ids, revision.mask(context).reasons, strict=True)
        return {name: reason for name, reason in pairs if reason is not None}

    return ask


@pytest.fixture(scope="session")
def place() -> Callable[[str, str], str]:
    """A function that says where a piece of text first stands, as line:column from 1."""

    def line_and_column(text: str, mark: str) -> str:
        before = text[: text.index(mark)]
        return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"

    return line_and_column


@pytest.fixture(scope="session")
def replaced() -> Callable[[str, str, str], str]:
    """A function that replaces the first `old` in a text by `new`; there must be one."""

    def replace_first(text: str, old: str, new: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return replace_first


@pytest.fixture(scope="session")
def refused(
    replaced: Callable[[str, str, str], str], place: Callable[[str, str], str]
) -> Callable[..., None]:
    """A function that makes a text faulty and demands that it is refused, and where, and why.

    `refused(read, text, old, new, mark, message)` replaces `old` by `new`. The error of `read`,
    which takes the text for a file `f.yaml`, must name the place of `mark`, then begin with the
    message.
    """

    def read_in_vain(
        read: Callable[[str], object], text: str, old: str, new: str, mark: str, message: str
    ) -> None:
        faulty = replaced(text, old, new)
        with pytest.raises(DocumentError) as caught:
            read(faulty)
        assert str(caught.value).startswith(f"f.yaml:{place(faulty, mark)}: {message}")

    return read_in_vain
