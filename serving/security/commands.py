"""Commands of keys and of the audit log."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agents.errors import ContextError, StateError, did_you_mean
from agents.units import parse_duration
from serving.ledger import open_reader
from serving.running.options import Data, LedgerUrl
from serving.security.chain import verify_chain
from serving.security.client import call
from serving.security.scopes import SCOPES
from serving.security.tokens import make_token
from serving.settings import Settings, load_keys

keys = typer.Typer(
    help="API keys of a running server; the caller's own is in NEXTBEST_API_KEY or --key-file.",
    no_args_is_help=True,
)

Url = Annotated[str, typer.Option(help="Address of the server.")]
KeyFile = Annotated[Path | None, typer.Option(help="File with an admin's API key.")]
KeyId = Annotated[str, typer.Argument(help="Id of the key, as `nextbest keys list` shows it.")]

_HERE = "http://127.0.0.1:8000"


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str], typer.Option(help=f"May be given several times: {', '.join(SCOPES)}.")
    ],
    url: Url = _HERE,
    key_file: KeyFile = None,
    expires: Annotated[str, typer.Option(help="As 90d; never if left out.")] = "",
    rate: Annotated[float | None, typer.Option(help="Requests per second on average.")] = None,
    burst: Annotated[float | None, typer.Option(help="Requests at once after a pause.")] = None,
) -> None:
    """Make a key; it goes to standard output, this once."""
    for word in scope:
        if word not in SCOPES:
            raise ContextError(f"there is no scope {word!r}; {did_you_mean(word, SCOPES)}")
    body: dict[str, Any] = {"name": name, "scopes": scope, "rate": rate, "burst": burst}
    if expires:
        body["expires_in_s"] = _seconds(expires)
    _show(call(url, "POST", "/v1/keys", key_file=key_file, body=body))


@keys.command()
def rotate(
    key_id: KeyId,
    url: Url = _HERE,
    key_file: KeyFile = None,
    grace: Annotated[str, typer.Option(help="How long the old key is accepted still.")] = "1d",
) -> None:
    """Make a key in another's place; it goes to standard output, this once."""
    body = {"grace_s": _seconds(grace)}
    _show(call(url, "POST", f"/v1/keys/{key_id}/rotate", key_file=key_file, body=body))


@keys.command()
def revoke(key_id: KeyId, url: Url = _HERE, key_file: KeyFile = None) -> None:
    """Refuse a key from now on, within a second on every replica."""
    call(url, "DELETE", f"/v1/keys/{key_id}", key_file=key_file)
    typer.echo(f"key {key_id} is refused from now on")


@keys.command(name="list")
def list_keys(url: Url = _HERE, key_file: KeyFile = None) -> None:
    """List every key there ever was, without the keys themselves."""
    table = Table("id", "name", "scopes", "ends", "requests/s", box=None)
    for key in call(url, "GET", "/v1/keys", key_file=key_file):
        ends = f"revoked {key['revoked']}" if key["revoked"] else key["expires"] or "never"
        rate = "any" if key["rate"] is None else f"{key['rate']:g}"
        table.add_row(key["key_id"], key["name"], ", ".join(key["scopes"]), ends, rate)
    Console(highlight=False).print(table)


@keys.command()
def generate() -> None:
    """Write a new key to standard output, for a file that NEXTBEST_ADMIN_KEY_FILE will name."""
    typer.echo(make_token())


def audit(
    data: Data = Path("runs/server"),
    ledger: LedgerUrl = "",
    expect: Annotated[str, typer.Option(help="A head that an earlier check has printed.")] = "",
) -> None:
    """Check the audit log from its first row to its last; the server may run."""
    settings = Settings(Path(), data, ledger_url=ledger)
    if not settings.keys.is_dir():  # reading them would make them
        raise StateError(f"expected the keys of a server in {settings.keys}, got none; see --data")
    with contextlib.closing(open_reader(settings)) as reader:
        chain = verify_chain(reader, load_keys(data).audit, expect)
    typer.echo(f"the audit log holds: {chain.rows:,} rows, head {chain.head.hex()}")


def _seconds(text: str) -> int:
    return int(parse_duration(text).total_seconds())


def _show(issued: dict[str, Any]) -> None:
    typer.echo(f"key {issued['key_id']} ({issued['name']}); it is shown this once", err=True)
    typer.echo(issued["token"])
