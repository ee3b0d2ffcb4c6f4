"""Several workspaces behind one address: nobody sees anything of another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.catalog import write_example
from agents.errors import StateError
from serving.ledger import SqliteReader
from serving.running.tenants import tenants
from serving.security.scopes import SCOPES
from serving.settings import Settings, load_keys, prepare_data

Header = dict[str, str]


@pytest.fixture(scope="session")
def bank(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same agents in a workspace of another name."""
    folder = tmp_path_factory.mktemp("other") / "bank"
    write_example("telecom", folder)
    file = folder / "workspace.yaml"
    file.write_text(file.read_text().replace("workspace: telecom", "workspace: bank"))
    return folder


@pytest.fixture
def both(settings: Settings, bank: Path) -> Settings:
    return replace(settings, more=(bank,))


@pytest.fixture
def shared(open_server: Callable[..., Any], bank: Path) -> Iterator[Any]:
    """Both on the machine's clock: on a driven one callers name their decisions by their keys."""
    with open_server(more=(bank,), clock="machine") as server:
        yield server


@pytest.fixture
def callers(shared: Any, settings: Settings) -> dict[str, Header]:
    """A header for each workspace, whose key may do everything there."""
    found = {}
    for name in ("telecom", "bank"):
        token = (settings.data / name / "keys" / "admin.key").read_text().strip()
        admin = {"Authorization": f"Bearer {token}"}
        body = {"name": "all", "scopes": list(SCOPES)}
        made = shared.post("/v1/keys", json=body, headers=admin).json()
        found[name] = {"Authorization": f"Bearer {made['token']}"}
    return found


def decide(server: Any, caller: Header, features: Any, key: str = "") -> Any:
    body = {"agent": "retention", "customer": "ann", "features": features}
    headers = caller | ({"Idempotency-Key": key} if key else {})
    answer = server.post("/v1/decisions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_workspace_keeps_everything_apart(
    shared: Any, callers: dict[str, Header], settings: Settings, features: Any
) -> None:
    telecom, bank = callers["telecom"], callers["bank"]
    first = decide(shared, telecom, features, key="visit-1")
    second = decide(shared, bank, features, key="visit-1")  # the same key of another's
    assert first["decision_id"] != second["decision_id"]
    for own, other, made in ((telecom, bank, first), (bank, telecom, second)):
        address = f"/v1/decisions/{made['decision_id']}"
        assert shared.get(address, headers=own).status_code == 200
        assert shared.get(address, headers=other).status_code == 404
        assert decide(shared, own, features, key="visit-1")["decision_id"] == made["decision_id"]
    for name, made in (("telecom", first), ("bank", second)):
        with closing(SqliteReader.open(settings.data / name / "ledger.sqlite")) as reader:
            bodies = [entry.body for entry in reader.entries(0, 100) if entry.kind == "decision"]
        assert [body["decision_id"] for body in bodies] == [made["decision_id"]]
    secrets = {load_keys(settings.data / name).draw for name in callers}
    assert len(secrets) == 2


def test_the_ids_of_another_are_the_ids_of_nobody(
    shared: Any, callers: dict[str, Header], settings: Settings, features: Any
) -> None:
    """The same answer, word for word, and the same questions to the same database."""
    telecom, bank = callers["telecom"], callers["bank"]
    decision = decide(shared, bank, features)["decision_id"]
    key = shared.get("/v1/keys", headers=bank).json()[-1]["key_id"]
    places = [
        ("GET", "/v1/decisions/{}", decision, "f" * len(decision)),
        ("DELETE", "/v1/keys/{}", key, "0" * 16),
        ("POST", "/v1/keys/{}/rotate", key, "0" * 16),
    ]
    for method, place, foreign, nobodys in places:
        heard, asked = [], []
        for name in (foreign, nobodys):
            with statements(shared) as said:
                answer = shared.request(method, place.format(name), json={}, headers=telecom)
            heard.append((answer.status_code, answer.text.replace(name, "ID")))
            asked.append(said)
        assert heard[0] == heard[1], place
        assert heard[0][0] == 404
        assert asked[0]["telecom"] == asked[1]["telecom"], place
        assert asked[0]["bank"] == []
    assert shared.get("/v1/keys", headers=bank).json()[-1]["revoked"] is None


class statements:  # noqa: N801 - reads as a function does
    """The SQL that each workspace's ledger is asked inside."""

    def __init__(self, server: Any) -> None:
        self._runtimes = server.app.state.runtimes

    def _databases(self) -> dict[str, Any]:
        return {name: each.writer._ledger._db for name, each in self._runtimes.items()}

    def __enter__(self) -> dict[str, list[str]]:
        said: dict[str, list[str]] = {}
        for name, database in self._databases().items():
            heard = said[name] = []

            def note(sql: str, *_: Any, heard: list[str] = heard) -> None:
                if "api_key ORDER BY" not in sql and " " in sql:  # the refresh, and BEGIN
                    heard.append(sql)

            database.connection.trace_v2(
                1,
                lambda event, note=note: note(event["sql"]),  # SQLITE_TRACE_STMT
            )
        return said

    def __exit__(self, *_: object) -> None:
        for database in self._databases().values():
            database.connection.trace_v2(0, None)


def test_a_key_lists_and_audits_its_own_workspace(shared: Any, callers: dict[str, Header]) -> None:
    for path in ("/v1/keys", "/v1/audit"):
        first, second = (shared.get(path, headers=caller).text for caller in callers.values())
        assert first != second
    ids = [
        {key["key_id"] for key in shared.get("/v1/keys", headers=caller).json()}
        for caller in callers.values()
    ]
    assert not ids[0] & ids[1]


def test_readiness_names_the_agents_of_the_callers_workspace_only(
    shared: Any, callers: dict[str, Header]
) -> None:
    stranger = shared.get("/readyz")
    assert stranger.status_code == 200
    assert stranger.json()["agents"] == {}
    assert "retention" in shared.get("/readyz", headers=callers["bank"]).json()["agents"]


def test_a_restart_finds_both_again(
    open_server: Callable[..., Any], both: Settings, features: Any, settings: Settings
) -> None:
    path = settings.data / "bank" / "keys" / "admin.key"
    with open_server(more=both.more):
        token = path.read_text()
    with open_server(more=both.more) as server:
        assert path.read_text() == token
        caller = {"X-API-Key": token.strip()}
        assert server.get("/v1/keys", headers=caller).status_code == 200


def test_one_workspace_is_served_as_it_is(settings: Settings) -> None:
    assert tenants(settings) == (settings,)
    assert tenants(replace(settings, auth="none")) == (replace(settings, auth="none"),)


def test_what_cannot_be_told_apart_is_not_served(both: Settings, settings: Settings) -> None:
    names = [tenant.data.name for tenant in tenants(both)]
    assert names == ["telecom", "bank"]
    with pytest.raises(StateError, match="expected --auth keys to tell several"):
        tenants(replace(both, auth="none"))
    with pytest.raises(StateError, match="'telecom'.* twice"):
        tenants(replace(settings, more=(settings.workspace,)))


def test_a_data_folder_of_one_is_not_taken_for_one_of_several(
    both: Settings, settings: Settings, tmp_path: Path
) -> None:
    prepare_data(settings.data)
    load_keys(settings.data)
    with pytest.raises(StateError, match="the data folder of one workspace"):
        tenants(both)
    other = replace(settings, data=tmp_path / "other")
    for name in ("telecom", "bank"):
        prepare_data(other.data / name)
        load_keys(other.data / name)
    with pytest.raises(StateError, match="the data folder of several workspaces"):
        tenants(other)


def test_postgresql_has_a_schema_for_each(both: Settings) -> None:
    url = "postgresql://db.internal/shop?options=-c%20work_mem%3D8MB"
    urls = [tenant.ledger_url for tenant in tenants(replace(both, ledger_url=url))]
    assert ["search_path=nextbest_telecom'" in urls[0], "nextbest_bank'" in urls[1]] == [True] * 2
    assert all("work_mem=8MB" in each and "host=db.internal" in each for each in urls)
