"""Which of Vowpal Wabbit's explorers may be used, with which arguments, and why not the others.

Measured on vowpal-wabbit-next 0.7.0 (VW 9.9.0); each reason has a test on the library itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.errors import UnknownNameError, did_you_mean


@dataclass(frozen=True, slots=True)
class Explorer:
    """How VW is told to explore.

    Args:
        options: VW's arguments, without epsilon.
        inside: whether VW keeps the floor itself; if not, it is mixed in after VW has answered.
        most: how many actions it answers for without remembering the question before.
    """

    options: tuple[str, ...]
    inside: bool = True
    most: int | None = None


# With one reward in a hundred contacts the gaps between actions are about 0.01: hence 1000 and 100.
_SQUARECB = ("--squarecb", "--gamma_scale", "1000")
_MOST = 20

EXPLORERS: dict[str, Explorer] = {
    "epsilon": Explorer(()),
    "squarecb": Explorer(_SQUARECB),
    "softmax": Explorer(("--softmax", "--lambda", "100")),
    "large": Explorer(
        ("--large_action_space", "--max_actions", str(_MOST), *_SQUARECB), inside=False, most=_MOST
    ),
}

REFUSED: dict[str, str] = {
    "regcbopt": "it gives probability 1 to each of the actions that tie, so the sum exceeds 1",
    "regcb": "it has no floor, so probabilities are exactly 0, and it stays uniform for ever"
    " unless the bounds of the cost are known in advance",
    "nounif": "it switches the floor off, so probabilities are exactly 0",
    "cover": "its floor shrinks with every lesson, so weights grow without bound",
    "bag": "actions that no member of the bag prefers have probability exactly 0",
    "first": "after its first lessons all but the best have probability exactly 0",
    "rnd": "it has no floor, so probabilities are exactly 0",
    "synthcover": "it has no floor, so probabilities are exactly 0",
}

# `--clip_p 1` keeps the propensity out of the regression: with 1% conversion, weights of 1 / p
# drown what there is to learn. `mtr` is the one type that `--squarecb` accepts.
_BASE = ("--cb_explore_adf", "--cb_type", "mtr", "--coin", "--clip_p", "1",
         "-q", "so", "-q", "sc", "-q", "sh", "-b", "18", "--quiet")  # fmt: skip


def arguments(explorer: str) -> tuple[str, ...]:
    """Return VW's arguments for an explorer, without its epsilon.

    Raises:
        UnknownNameError: an explorer that is not known to keep probabilities exact, and why.

    Example:
        >>> arguments("squarecb")[-3:]
        ('--squarecb', '--gamma_scale', '1000')
    """
    if explorer in REFUSED:
        raise UnknownNameError(f"the explorer {explorer!r} is not offered: {REFUSED[explorer]}")
    if explorer not in EXPLORERS:
        raise UnknownNameError(
            f"expected an explorer, got {explorer!r}; {did_you_mean(explorer, EXPLORERS)}"
        )
    return (*_BASE, *EXPLORERS[explorer].options)
