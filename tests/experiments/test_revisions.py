"""The revisions beside a log are read back, and only those that are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import LogError
from agents.revision import Revision
from experiments.revisions import hidden_features, read_revisions


def test_revisions_are_read_from_beside_the_log(folder: Path, revision: Revision) -> None:
    for path in (folder, folder / "decisions.parquet"):
        assert list(read_revisions(path)) == [revision.id]
    assert read_revisions(folder / "revisions") == {}


def test_fields_that_no_learner_sees(revision: Revision) -> None:
    assert hidden_features(revision) == {
        "age", "consent_email", "consent_sms", "consent_push", "time_zone"
    }  # fmt: skip


def test_a_zone_is_never_a_feature(revision: Revision) -> None:
    customer = dict(revision.workspace.customer)
    customer["time_zone"] = customer["time_zone"].model_copy(update={"feature": True})
    workspace = revision.workspace.model_copy(update={"customer": customer})
    assert "time_zone" in hidden_features(Revision(workspace, revision.agent))


@pytest.mark.parametrize("text", ["[]", '"text"', "3", '{"agent": 1, "workspace": []}'])
def test_json_that_is_no_revision_is_refused(folder: Path, text: str) -> None:
    (folder / "revisions" / "broken.json").write_text(text)
    with pytest.raises(LogError, match="broken.json: expected the source of a revision"):
        read_revisions(folder)


def test_a_false_revision_is_refused(folder: Path, revision: Revision) -> None:
    source = folder / "revisions" / f"{revision.id}.json"
    source.rename(source.with_name("0123456789abcdef.json"))
    with pytest.raises(LogError, match=f"expected revision 0123456789abcdef, got {revision.id}"):
        read_revisions(folder)
    (folder / "revisions" / "broken.json").write_text("{}")
    (folder / "revisions" / "0123456789abcdef.json").unlink()
    with pytest.raises(LogError, match=r"broken.json: expected the source of a revision"):
        read_revisions(folder)
