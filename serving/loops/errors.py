"""Errors under a loop's routes: in the shape that Personalizer's clients read.

The gate, the framework and the handlers all answer with problem documents. Where the path is a
loop's, such a document is told as `{"error": {"code", "message", "target"?, "innerError"?}}`
instead, just before it is sent, so that no answer is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from agents.errors import NextbestError

RANK, REWARD, ACTIVATE = "InvalidRankRequest", "InvalidRewardRequest", "InvalidEventIdToActivate"
NOT_FOUND = "ResourceNotFound"

LOOPS = ("/personalizer/", "/loops/")
"""How the paths of a loop's routes begin."""

_LOOPS = re.compile(r"/personalizer/|/loops/[^/]+/personalizer/")
_BY_END = (("/rank", RANK), ("/reward", REWARD), ("/activate", ACTIVATE))
_BY_STATUS = {
    401: "Unauthorized", 403: "InvalidApiAccess", 404: NOT_FOUND, 405: "MethodNotAllowed",
    408: "RequestTimeout", 413: "PayloadSizeExceeded", 429: "TooManyRequests",
    500: "InternalServerError", 503: "OperationNotAllowed",
}  # fmt: skip
_OWN_FAULT = (400, 409, 422)


class LoopError(NextbestError):
    """A request to a loop that is refused.

    Args:
        message: what was expected, what was got, what to do.
        code: Personalizer's for it.
        inner: which rule was broken, as Personalizer's own sources name it.
        target: the field at fault.
        status: of HTTP.
    """

    def __init__(
        self, message: str, code: str, *, inner: str = "", target: str = "", status: int = 400
    ) -> None:
        super().__init__(message)
        self.status = status
        self.members = {"code": code, "inner": inner, "target": target}


def refuse(message: str, target: str, inner: str = "") -> LoopError:
    """Make the refusal of a Rank."""
    return LoopError(f"{target}: {message}", RANK, target=target, inner=inner)


def under_loop(path: str) -> bool:
    """Say whether a path is a loop's.

    Example:
        >>> under_loop("/loops/front/personalizer/v1.0/rank"), under_loop("/v1/decisions")
        (True, False)
    """
    return path.startswith(LOOPS) and _LOOPS.match(path) is not None


def status_of(status: int) -> int:
    """Return the status that Personalizer has for one of ours: it knows no 422."""
    return 400 if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


def error_of(path: str, problem: Mapping[str, Any]) -> dict[str, Any]:
    """Tell a problem document as Personalizer tells errors.

    Args:
        path: that was asked.
        problem: with `status` and `detail`, and what a `LoopError` adds.

    Example:
        >>> error_of("/personalizer/v1.0/rank", {"status": 422, "detail": "expected an object"})
        {'error': {'code': 'InvalidRankRequest', 'message': 'expected an object'}}
    """
    error: dict[str, Any] = {
        "code": problem.get("code") or _code(path, problem["status"]),
        "message": problem["detail"],
    }
    if problem.get("target"):
        error["target"] = problem["target"]
    if problem.get("inner"):
        error["innerError"] = {"code": problem["inner"]}
    faults = problem.get("errors") or ()
    if len(faults) > 1:
        error["details"] = [{"code": error["code"], "message": fault} for fault in faults]
    return {"error": error}


def _code(path: str, status: int) -> str:
    if status in _OWN_FAULT:
        return next((code for end, code in _BY_END if path.endswith(end)), "BadRequest")
    return _BY_STATUS.get(status, "BadRequest")
