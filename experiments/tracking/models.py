"""Registered models: sealed snapshots in the MLflow model registry, under names and aliases.

The file is stored as it is, an artifact of a run, beside its SHA-256; nothing is ever pickled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.errors import SnapshotError, StateError, UnknownNameError, did_you_mean
from experiments.tracking.store import keep_artifacts, record_run
from policies.registered import (
    CHALLENGER,
    CHAMPION,
    MODEL_FILE,
    SHA256_TAG,
    file_digest,
    model_name,
)
from policies.snapshot import Manifest, snapshot_id, unseal

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

MODELS = "models"
HOW_TO_REGISTER = (
    f"nextbest train --key FILE --alias {CHALLENGER} --track FOLDER registers one, and so does"
    " nextbest models register"
)

_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_PREFIX = model_name("")
_MOST = 1_000  # agents with models in one registry


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model.

    Args:
        agent: whose.
        version: number in the registry, from 1.
        aliases: names that point to it now, sorted.
        policy: the learner.
        revision: of the agent, that it was taught under.
        snapshot: its id.
        lessons: that it has learned.
        sha256: of the sealed file.
        run: MLflow run that holds the file.
    """

    agent: str
    version: int
    aliases: tuple[str, ...]
    policy: str
    revision: str
    snapshot: str
    lessons: int
    sha256: str
    run: str


def register(
    client: MlflowClient, data: bytes, key: bytes, agent: str, *, alias: str = "", run: str = ""
) -> Model:
    """Register a sealed snapshot as the next version of an agent's model.

    Args:
        client: from `open_tracking`.
        data: the snapshot's file, stored as it is.
        key: that it was signed with; a file that cannot be checked is not registered.
        agent: whose model it is.
        alias: that is to point to it, such as `challenger`; empty for none.
        run: id of the training's run, if it was recorded; else the model gets a run of its own.

    Raises:
        SnapshotError: the file is damaged, was signed with another key, or is another agent's.
        UnknownNameError: an alias that cannot be one.
    """
    manifest, _ = unseal(data, key)
    if manifest.agent != agent:
        raise SnapshotError(f"expected a snapshot of {agent!r}, got one of {manifest.agent!r}")
    if alias:
        _check_alias(alias)
    facts = _facts(manifest, data)
    if run:
        keep_artifacts(client, run, {MODEL_FILE: data})
    else:
        run = record_run(
            client, MODELS, f"{agent} {snapshot_id(manifest)}", params=facts, tags={},
            metrics={"lessons": manifest.lessons}, artifacts={MODEL_FILE: data},
        )  # fmt: skip
    name = model_name(agent)
    if not _known(client, name):
        client.create_registered_model(name)
    version = client.create_model_version(
        name, f"runs:/{run}/{MODEL_FILE}", run_id=run,
        tags={f"nextbest.{key}": value for key, value in facts.items()},
    )  # fmt: skip
    if alias:
        client.set_registered_model_alias(name, alias, str(version.version))
    return find_model(client, agent, version=int(version.version))


def list_models(client: MlflowClient, agent: str | None = None) -> tuple[Model, ...]:
    """Return all registered models, or those of one agent, the newest of each agent first."""
    names = [str(each.name) for each in client.search_registered_models(max_results=_MOST)]
    wanted = sorted(n for n in names if n.startswith(_PREFIX) and agent in (None, _agent(n)))
    return tuple(
        model
        for name in wanted
        for model in sorted(_versions(client, name), key=lambda model: -model.version)
    )


def find_model(
    client: MlflowClient, agent: str, *, version: int | None = None, alias: str = CHAMPION
) -> Model:
    """Return one registered model, by its version or else by an alias.

    Raises:
        UnknownNameError: the agent has no model, none of this version, or none of this alias.
    """
    models = list_models(client, agent)
    if not models:
        agents = {model.agent for model in list_models(client)}
        hint = did_you_mean(agent, agents) if agents else HOW_TO_REGISTER
        raise UnknownNameError(f"no model of agent {agent!r} is registered; {hint}")
    for model in models:
        if model.version == version or (version is None and alias in model.aliases):
            return model
    if version is not None:
        raise UnknownNameError(
            f"agent {agent!r} has no model of version {version}; its newest is {models[0].version}"
        )
    known = {name for model in models for name in model.aliases}
    raise UnknownNameError(
        f"no model of agent {agent!r} has the alias {alias!r}; {did_you_mean(alias, known)}"
    )


def promote(
    client: MlflowClient, agent: str, *, version: int | None = None, alias: str = CHAMPION
) -> tuple[Model, Model | None]:
    """Let an alias point to a model: the challenger, or a version that is named.

    A challenger that becomes champion is no challenger any more.

    Returns:
        The model, and the one that the alias pointed to before, None if there was none.

    Raises:
        UnknownNameError: as `find_model`, or an alias that cannot be one.
        StateError: the alias points to that model already.
    """
    _check_alias(alias)
    chosen = find_model(client, agent, version=version, alias=CHALLENGER)
    before = next((m for m in list_models(client, agent) if alias in m.aliases), None)
    if before is not None and before.version == chosen.version:
        raise StateError(
            f"version {chosen.version} of {agent!r} is the {alias} already; nothing was changed"
        )
    name = model_name(agent)
    client.set_registered_model_alias(name, alias, str(chosen.version))
    if alias == CHAMPION and CHALLENGER in chosen.aliases:
        client.delete_registered_model_alias(name, CHALLENGER)
    return find_model(client, agent, version=chosen.version), before


def _facts(manifest: Manifest, data: bytes) -> dict[str, str]:
    return {
        SHA256_TAG.removeprefix("nextbest."): file_digest(data),
        "agent": manifest.agent,
        "policy": manifest.policy,
        "revision": manifest.revision,
        "snapshot": snapshot_id(manifest),
        "lessons": str(manifest.lessons),
    }


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias) or alias == "latest":
        raise UnknownNameError(
            f"expected an alias of small letters, digits, - and _, such as {CHAMPION!r} or"
            f" {CHALLENGER!r}; got {alias!r}"
        )


def _known(client: MlflowClient, name: str) -> bool:
    return name in {str(each.name) for each in client.search_registered_models(max_results=_MOST)}


def _agent(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _versions(client: MlflowClient, name: str) -> list[Model]:
    aliases: dict[int, list[str]] = {}
    for alias, version in client.get_registered_model(name).aliases.items():
        aliases.setdefault(int(version), []).append(str(alias))
    found = client.search_model_versions(f"name = '{name}'")
    return [
        _model(each, tuple(sorted(aliases.get(int(each.version), ()))))
        for each in found
        if SHA256_TAG in each.tags
    ]


def _model(version: ModelVersion, aliases: tuple[str, ...]) -> Model:
    facts = {key.removeprefix("nextbest."): value for key, value in version.tags.items()}
    return Model(
        agent=facts["agent"], version=int(version.version), aliases=aliases,
        policy=facts["policy"], revision=facts["revision"], snapshot=facts["snapshot"],
        lessons=int(facts["lessons"]), sha256=facts["sha256"], run=str(version.run_id),
    )  # fmt: skip
