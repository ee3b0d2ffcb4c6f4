"""What a gate is asked about: two policies, and decisions that neither of them learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError, SnapshotError
from agents.groups import Group
from agents.revision import Revision
from experiments.evaluating import why_none
from experiments.logs import LoggedDecisions, read_log, read_table
from experiments.revisions import read_revisions
from experiments.targets.asked import Source, Target, read_target
from experiments.targets.taught import Lessons
from policies.snapshot import Manifest, unseal

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """Two policies on the decisions they can be compared on.

    Args:
        log: N decisions.
        candidate, champion: (N, A) probabilities.
        revision: the newest of the log, None if it is not known.
        revisions: the ids of those that decided, sorted.
        hashes: SHA-256 of each file that a policy was read from, by its role.
        left_out: decisions that one of the two had learned from.
        notes: what is to be told of that.
    """

    log: LoggedDecisions
    candidate: Floats
    champion: Floats
    revision: Revision | None
    revisions: tuple[str, ...]
    hashes: Mapping[str, str]
    left_out: int
    notes: tuple[str, ...] = ()


def read_subject(
    path: Path, candidate: str, champion: str, *, key: Path | None = None, agent: str | None = None
) -> Subject:
    """Read a log and the two policies.

    Decisions of treatment that a snapshot has learned from are left out: it would look too good
    there. Those of the random group stay, as no learner ever sees them.

    Args:
        path: the log.
        candidate: a policy, as of `experiments.targets.asked.read_target`.
        champion: another one.
        key: file of the key that snapshots are signed with.
        agent: whose log; None if it holds one agent only.

    Raises:
        LogError: nothing is left to judge by.
    """
    whole = read_log(path, agent=agent).unthinned("gate")
    groups = (Group.TREATMENT, Group.RANDOM)
    rows = whole.in_groups(*groups)
    if not len(rows):
        raise LogError(why_none(groups, whole))
    revisions = read_revisions(path)
    newest = revisions.get(str(whole.revision[np.argmax(whole.at)]))
    source = Source(revisions, newest, key)
    names = (candidate, champion)
    learns = any(each.learns for each in _targets(names, source))
    if learns:
        lessons = Lessons.of(whole, rows, revisions=revisions)
        source = Source(revisions, newest, key, lessons)
        rows = lessons.judged(rows)
    manifests = {name: _manifest(name, key) for name in names}
    kept = rows.where(_fresh(rows, path, list(manifests.values())))
    if not len(kept):
        raise LogError(
            "expected decisions that neither policy has learned from, got none; take a later log"
        )
    targets = [each.probabilities(kept) for each in _targets(names, source)]
    roles = zip(("candidate", "champion"), names, strict=True)
    hashes = {role: _sha256(Path(name)) for role, name in roles if Path(name).is_file()}
    return Subject(
        kept, targets[0], targets[1], newest, tuple(sorted(set(map(str, kept.revision.tolist())))),
        hashes, len(rows) - len(kept),
        (*_taught(kept, learns), *_notes(manifests, len(rows) - len(kept))),
    )  # fmt: skip


def _targets(names: tuple[str, str], source: Source) -> list[Target]:
    """Find out which policies are meant; an error names the option of the one that is not."""
    options = ("--candidate", "--champion")
    pairs = zip(names, options, strict=True)
    return [read_target(name, replace(source, option=option)) for name, option in pairs]


def _taught(kept: LoggedDecisions, learns: bool) -> tuple[str, ...]:
    """Say how learners were taught, if there are any."""
    if not learns:
        return ()
    return (
        "learners went on learning block by block, each decision judged by what had closed before"
        f" its block; those before {str(kept.at.min())[:19]} (UTC) only taught. A server learns"
        " sooner, so beside the logged policy a learner may look a little worse than it is",
    )


def _notes(manifests: Mapping[str, Manifest | None], left_out: int) -> tuple[str, ...]:
    """Say what was left out, and of which snapshots nobody knows what they learned from."""
    found = [f"{left_out:,} decisions left out: a snapshot learned from them"] if left_out else []
    for name, each in manifests.items():
        if each is not None and each.lessons and not each.position:
            found.append(
                f"warning: {Path(name).name} was taught {each.lessons:,} decisions outside the"
                " ledger, and does not say which: if they are of this log, it looks better here"
                " than it is"
            )
    return tuple(found)


def _manifest(name: str, key: Path | None) -> Manifest | None:
    """Return what a snapshot says of itself; None for a policy that is none."""
    path = Path(name)
    if key is None or not path.is_file() or path.suffix in (".yaml", ".yml"):
        return None
    try:
        return unseal(path.read_bytes(), key.read_bytes())[0]
    except OSError as error:
        raise SnapshotError(f"{error.filename} cannot be read: {error.strerror}") from error


def _fresh(
    rows: LoggedDecisions, path: Path, manifests: list[Manifest | None]
) -> NDArray[np.bool_]:
    """Say which decisions came after all that was learned, or are of random; (N,)."""
    learned = max((each.position for each in manifests if each is not None), default=0)
    if not learned:
        return np.ones(len(rows), dtype=np.bool_)
    table = read_table(path)
    ids, places = table["decision_id"].to_pylist(), table["position"].to_pylist()
    position = dict(zip(ids, places, strict=True))
    at = np.array([position[name] for name in rows.decision_id.tolist()])  # (N,)
    return np.asarray((at > learned) | (rows.group == Group.RANDOM), dtype=np.bool_)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
