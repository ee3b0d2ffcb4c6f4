"""Actions that were read before: the same articles are offered again and again.

To read an action's features costs VW more than to use them, and a list of 50 brings few that were
not in the lists before it. So what was read is kept by its text, and used again as it is: a
prediction leaves nothing in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import vowpal_wabbit_next as vw

from policies.vowpal.content import is_plain

MOST = 1_000
"""Actions that are kept; VW needs some 10 KB for each."""

LARGEST = 4_096
"""Bytes of one that is kept, so that all of them together stay small."""

_FIRST, _NEXT, _END = b',"_multi":[{"_tag":', b',{"_tag":', b"]}"
_ALONE, _NOBODY = b'{"_multi":[{"_tag":', b',"_multi":[]}'


def halves(content: bytes) -> tuple[bytes, bytes]:
    """Return what the actions share, an object that lacks its end, and their list, without its own.

    Raises:
        ValueError: the content is not laid out as usual.

    Example:
        >>> halves(b'{"FromUrl":[],"_multi":[{"_tag":"a","j":[]},{"_tag":"b"}]}')
        (b'{"FromUrl":[]', b'"a","j":[]},{"_tag":"b"}]}')
    """
    shared, first, rest = content.partition(_FIRST)
    if not first:
        raise ValueError("expected content of actions")
    return shared, rest


def shared_of(content: bytes, texts: Sequence[bytes]) -> bytes:
    """Return what the actions share, as `halves` has it, of content whose actions are known.

    Example:
        >>> shared_of(b'{"FromUrl":[],"_multi":[{"_tag":"a"},{"_tag":"b"}]}', [b'"a"}', b'"b"}'])
        b'{"FromUrl":[]'
    """
    listed = sum(map(len, texts)) + len(_NEXT) * (len(texts) - 1)
    return content[: -len(_FIRST) - listed - len(_END)]


def split(rest: bytes, count: int) -> list[bytes]:
    """Take a list of so many actions apart; each begins with the value of its `_tag`.

    Raises:
        ValueError: there are not so many, or two are the same: VW is ruined by an example that it
            meets twice at once.

    Example:
        >>> split(b'"a","j":[]},{"_tag":"b"}]}', 2)
        [b'"a","j":[]}', b'"b"}']
    """
    actions = texts_of(rest)
    if not len(set(actions)) == len(actions) == count:
        raise ValueError("expected so many actions, each another one")
    return actions


def texts_of(rest: bytes) -> list[bytes]:
    """Take a list apart, as `split`, without a look at what comes of it."""
    return rest.removesuffix(_END).split(_NEXT)


def read_shared(parser: vw.DSJsonFormatParser, shared: bytes) -> vw.Example:
    """Read what the actions share.

    Raises:
        ValueError: it is not plain.
        RuntimeError: VW has no name for something in it.
    """
    return _read(parser, shared + _NOBODY, 0)[0]


def read_action(parser: vw.DSJsonFormatParser, text: bytes) -> vw.Example:
    """Read one action; raises as `read_shared`."""
    return _read(parser, _ALONE + text + _END, 1)[1]


def _read(parser: vw.DSJsonFormatParser, content: bytes, count: int) -> list[vw.Example]:
    """Read content of so many actions; what was kept of it need not be looked at again."""
    if not is_plain(content, count):
        raise ValueError("expected plain content")
    return parser.parse_json(f'{{"c":{content.decode()}}}')


class Shelf:
    """Examples of actions by their text, of one workspace of VW, for predictions only.

    Args:
        parser: of the workspace.

    Example:
        >>> shelf = Shelf(vw.DSJsonFormatParser(vw.Workspace(["--cb_explore_adf", "--quiet"])))
        >>> one, two = b'{"_tag":"a","i":{"id":"a"}}', b'{"_tag":"b","i":{"id":"b"}}'
        >>> first = shelf.take(b'{"FromUrl":[{"n":1}],"_multi":[%b,%b]}' % (one, two), 2, [0, 1])
        >>> again = shelf.take(b'{"FromUrl":[{"n":2}],"_multi":[%b,%b]}' % (two, one), 2, [1])
        >>> len(first), len(again), first[1] is again[1]
        (3, 2, True)
    """

    def __init__(self, parser: vw.DSJsonFormatParser) -> None:
        self._parser = parser
        self._kept: dict[bytes, vw.Example] = {}

    def take(self, content: bytes, count: int, shown: Sequence[int]) -> list[vw.Example]:
        """Return the shared row and the actions to show; nothing where content is not plain.

        Args:
            content: of the supplied actions.
            count: how many it has.
            shown: (E,) positions among them, each once.
        """
        try:
            shared, rest = halves(content)
            texts = split(rest, count)
            row = read_shared(self._parser, shared)
            return [row, *(self._example(texts[position]) for position in shown)]
        except (RuntimeError, ValueError):
            return []

    def clear(self) -> None:
        """Forget all: after a failure, none of them may be used again."""
        self._kept.clear()

    def _example(self, text: bytes) -> vw.Example:
        example = self._kept.pop(text, None)
        if example is None:
            example = read_action(self._parser, text)
            while len(self._kept) >= MOST:  # those not asked for longest, since it was full
                self._kept.pop(next(iter(self._kept)), None)  # another thread may explain
        if len(text) <= LARGEST:
            self._kept[text] = example
        return example
