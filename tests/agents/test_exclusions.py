from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.errors import DocumentError
from agents.load import load_workspace
from agents.loading import exclusions
from agents.revision import Revision
from agents.spec import ExclusionListSpec

RULE = "guardrails:\n  vip: {rule: exclusion_list, file: lists/vip.txt}\n"


@pytest.fixture
def shop(tmp_path: Path, workspace_text: str, agent_text: str) -> Path:
    folder = tmp_path / "shop"
    (folder / "agents").mkdir(parents=True)
    (folder / "lists").mkdir()
    (folder / "workspace.yaml").write_text(workspace_text, encoding="utf-8")
    (folder / "agents" / "helper.yaml").write_text(agent_text + RULE, encoding="utf-8")
    (folder / "lists" / "vip.txt").write_text(
        "\ufeff# those, and them\r\n#\nann\r\n\n  bob \nann\n", encoding="utf-8"
    )
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        load_workspace(folder)
    return str(caught.value)


def rename(folder: Path, name: str) -> str:
    path = folder / "agents" / "helper.yaml"
    text = path.read_text(encoding="utf-8").replace("lists/vip.txt", name)
    path.write_text(text, encoding="utf-8")
    line = text[: text.index("file: ")].count("\n") + 1
    column = text.splitlines()[line - 1].index("file: ") + 1
    return f"shop/agents/helper.yaml:{line}:{column}: at guardrails.vip.file: "


def test_a_list_is_read_once_and_the_revision_needs_the_file_no_more(shop: Path) -> None:
    revision = load_workspace(shop).revisions["helper"]
    spec = revision.agent.guardrails["vip"]
    assert isinstance(spec, ExclusionListSpec)
    assert (spec.customers, spec.file) == (("ann", "bob"), None)
    (shop / "lists" / "vip.txt").unlink()
    assert Revision.from_source(revision.source).id == revision.id


def test_a_workspace_may_name_a_list_too(shop: Path, agent_text: str) -> None:
    (shop / "agents" / "helper.yaml").write_text(agent_text, encoding="utf-8")
    with (shop / "workspace.yaml").open("a", encoding="utf-8") as file:
        file.write(RULE)
    spec = load_workspace(shop).workspace.guardrails["vip"]
    assert isinstance(spec, ExclusionListSpec)
    assert spec.customers == ("ann", "bob")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret.txt", "lists/../../secret.txt", "..\\\\secret", "C:\\\\x"]
)
def test_a_list_outside_the_folder_is_refused(shop: Path, name: str) -> None:
    (shop.parent / "secret.txt").write_text("x", encoding="utf-8")
    where = rename(shop, f'"{name}"')
    assert refusal(shop).startswith(f"{where}expected a file below the workspace's folder, as in")


def test_a_link_that_leads_out_is_refused_and_one_within_is_not(shop: Path) -> None:
    (shop.parent / "secret.txt").write_text("x", encoding="utf-8")
    (shop / "lists" / "out").symlink_to(shop.parent / "secret.txt")
    (shop / "lists" / "in").symlink_to(shop / "lists" / "vip.txt")
    assert load_workspace(shop).revisions
    where = rename(shop, "lists/out")
    message = "'lists/out' is a link that leads out of the workspace's folder"
    assert refusal(shop) == where + message


def test_a_link_in_a_circle_is_refused(shop: Path) -> None:
    (shop / "lists" / "loop").symlink_to(shop / "lists" / "loop")
    assert refusal_starts(shop, "lists/loop", "'lists/loop' cannot be read: ")


def refusal_starts(folder: Path, name: str, message: str) -> bool:
    where = rename(folder, name)
    return refusal(folder).startswith(where + message)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lists/none.txt", "'lists/none.txt' cannot be read: No such file or directory"),
        ("lists", "expected 'lists' to be a file, got something else"),
    ],
)
def test_a_list_that_is_not_there_is_refused(shop: Path, name: str, message: str) -> None:
    assert refusal_starts(shop, name, message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected one customer id a line in shop/lists/vip.txt, got none"),
        (b"\n  \n", "expected one customer id a line in shop/lists/vip.txt, got none"),
        (b"ann\n\xff\xfe", "shop/lists/vip.txt is not UTF-8: invalid start byte at byte 4"),
    ],
)
def test_a_list_that_holds_nothing_readable_is_refused(
    shop: Path, data: bytes, message: str
) -> None:
    (shop / "lists" / "vip.txt").write_bytes(data)
    assert refusal(shop) == rename(shop, "lists/vip.txt") + message


@pytest.mark.parametrize("line", ["b\x00b", "x" * 257])
def test_a_line_that_is_no_customer_is_named(shop: Path, line: str) -> None:
    (shop / "lists" / "vip.txt").write_text(f"ann\n{line}\n", encoding="utf-8")
    assert ":2:1: customer: expected printable text of 1 to 256 characters" in refusal(shop)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_BYTES", 5, "expected a file of at most 5 bytes"),
        ("MAX_CUSTOMERS", 1, "expected at most 1 customers, got 2"),
    ],
)
def test_a_list_has_bounds(
    shop: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    monkeypatch.setattr(exclusions, limit, value)
    assert refusal(shop) == rename(shop, "lists/vip.txt") + message


def test_a_list_and_customers_are_not_both_accepted(shop: Path) -> None:
    rename(shop, "lists/vip.txt, customers: [bob]")
    assert refusal(shop).endswith("expected 'customers' or 'file', one of them")


def test_over_http_there_is_no_file(build: Callable[..., Revision]) -> None:
    with pytest.raises(DocumentError, match="list the ids in 'customers'"):
        build(guardrails="{vip: {rule: exclusion_list, file: lists/vip.txt}}")


@pytest.mark.parametrize("line", ["bob,ann", "bob;1", "bob\tann"])
def test_a_table_is_not_taken_for_a_list(shop: Path, line: str) -> None:
    (shop / "lists" / "vip.txt").write_text(f"ann\n{line}\n", encoding="utf-8")
    assert refusal(shop).startswith(
        "shop/lists/vip.txt:2:1: expected one customer id a line, got '"
    )


def test_an_id_that_begins_like_a_comment_stays_an_id(shop: Path) -> None:
    (shop / "lists" / "vip.txt").write_text("# numbers\n#1001\n", encoding="utf-8")
    rule = load_workspace(shop).revisions["helper"].agent.guardrails["vip"]
    assert isinstance(rule, ExclusionListSpec)
    assert rule.customers == ("#1001",)
