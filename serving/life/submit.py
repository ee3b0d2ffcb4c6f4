"""Submitting a workspace's agents to a server: checked here, told in words, asked, activated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.errors import ConflictError, ContextError, UnknownNameError, did_you_mean
from agents.load import LoadedWorkspace, load_workspace
from serving.security.client import call

app = typer.Typer()

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Submission:
    """How an agent is to stand on a server.

    Args:
        url: of the server.
        percent: of the customers that it decides for.
        shadow: whether it is to decide beside only.
        reason: for those who read the log.
        key_file: holds the caller's API key, if the environment does not.
    """

    url: str
    percent: int = 100
    shadow: bool = False
    reason: str = ""
    key_file: Path | None = None

    def call(self, method: str, path: str, **sent: Any) -> Any:
        """Ask the server."""
        return call(self.url, method, path, key_file=self.key_file, **sent)

    @property
    def part(self) -> str:
        """What the revision is to be."""
        if self.shadow:
            return "the shadow, of which nothing comes"
        whom = "everybody" if self.percent == 100 else f"{self.percent} % of the customers"
        return f"what decides for {whom}"


def submit_workspace(
    workspace: Path, agent: str | None, how: Submission, say: Say, agree: Callable[[str], bool]
) -> int:
    """Submit the agents of a workspace, or one of them.

    Args:
        workspace: its folder.
        agent: the only one; all if None.
        how: they are to stand on the server.
        say: tells whoever submits.
        agree: asks whoever submits.

    Returns:
        How many have changed what stands.

    Raises:
        DocumentError: the workspace is wrong; nothing was sent.
        UnknownNameError: it has no such agent.
        ContextError: the server refused.
        ConflictError: somebody else has changed what stands since it was shown.
        StateError: there is no answer.
    """
    loaded = load_workspace(workspace)
    if agent is not None and agent not in loaded.revisions:
        hint = did_you_mean(agent, loaded.revisions)
        raise UnknownNameError(f"{workspace} has no agent {agent!r}; {hint}")
    names = list(loaded.revisions) if agent is None else [agent]
    return sum(_submit(loaded, name, how, say, agree) for name in names)


def _submit(
    loaded: LoadedWorkspace, name: str, how: Submission, say: Say, agree: Callable[[str], bool]
) -> bool:
    """Submit one agent; say whether that has changed what stands."""
    path, text = f"/v1/agents/{name}", loaded.texts[name]
    found = how.call("PUT", f"{path}?check=true", yaml=text)
    standing, revision = found["standing"], found["revision"]
    if standing is not None and standing["revision"] == revision:
        say(f"agent {name}: {revision} is active already")
        return False
    for line in _words(name, found, known=loaded.revisions[name].id == revision):
        say(line)
    if not agree(f"Make {revision} {how.part}?"):
        say(f"agent {name}: nothing was changed")
        return False
    how.call("PUT", path, yaml=text)
    body = {
        "revision": revision,
        "expected": None if standing is None else standing["revision"],
        "percent": how.percent,
        "shadow": how.shadow,
        "reason": how.reason,
    }
    try:
        how.call("POST", f"{path}/activate", body=body)
    except ConflictError as error:
        raise ConflictError(
            f"agent {name}: nothing was changed, for what stands there is not what was shown:"
            f" {error}; look again, and submit again"
        ) from None
    say(f"agent {name}: {revision} is {how.part}")
    return True


def _words(name: str, found: dict[str, Any], *, known: bool) -> Iterator[str]:
    """Say what an agent would change on the server, and what deserves a second look."""
    if found["standing"] is None:
        yield f"agent {name}: new, {found['actions']} actions"
    else:
        yield f"agent {name}: against {found['standing']['revision']}, which is active"
        yield from _trials(found["standing"])
    yield from (f"  {change}" for change in found["changes"])
    yield from (f"  warning: {each}" for each in found["advice"])
    if not known:
        yield "  the server's workspace.yaml is not the one here; it decides by its own"


def _trials(standing: dict[str, Any]) -> Iterator[str]:
    if standing["canary"] is not None:
        yield f"  now {standing['canary']} decides for {standing['percent']} % of the customers"
    if standing["shadow"] is not None:
        yield f"  now {standing['shadow']} is the shadow"


@app.command()
def submit(
    workspace: Annotated[Path, typer.Argument(help="Folder with workspace.yaml and agents/*.yaml")],
    url: Annotated[str, typer.Option(help="Address of the server.")],
    agent: Annotated[str | None, typer.Option(help="Only this agent; all if left out.")] = None,
    percent: Annotated[
        int, typer.Option(min=1, max=100, help="Of the customers; below 100 it is a canary.")
    ] = 100,
    shadow: Annotated[bool, typer.Option("--shadow", help="Decide beside only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Annotated[str, typer.Option(help="For those who read the log.")] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key, else NEXTBEST_API_KEY has it.")
    ] = None,
) -> None:
    """Check a workspace, show what it would change on a server, ask, and submit it."""
    if shadow and percent != 100:
        raise ContextError("expected --percent or --shadow: a shadow decides beside for everybody")
    how = Submission(url, percent, shadow, reason, key_file)
    submit_workspace(workspace, agent, how, typer.echo, lambda question: yes or _ask(question))


def _ask(question: str) -> bool:
    return typer.confirm(question, default=False)
