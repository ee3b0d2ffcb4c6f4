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
        shared, first, rest = content.partition(_FIRST)
        texts = rest.removesuffix(_END).split(_NEXT)
        if not (first and len(set(texts)) == len(texts) == count):
            return []  # VW is ruined by an example that it meets twice at once
        try:
            row = self._read(shared + _NOBODY, 0)[0]
            known = [self._kept.get(texts[position]) for position in shown]
            found = [example for example in known if example is not None]
            if len(found) < len(known) or len(self._kept) >= MOST:
                found = [self._example(texts[position]) for position in shown]
            return [row, *found]
        except (RuntimeError, ValueError):
            return []

    def clear(self) -> None:
        """Forget all: after a failure, none of them may be used again."""
        self._kept.clear()

    def _example(self, text: bytes) -> vw.Example:
        example = self._kept.pop(text, None)
        if example is None:
            example = self._read(_ALONE + text + _END, 1)[1]
            while len(self._kept) >= MOST:  # those not asked for longest, since it was full
                self._kept.pop(next(iter(self._kept)), None)  # another thread may explain
        if len(text) <= LARGEST:
            self._kept[text] = example
        return example

    def _read(self, content: bytes, count: int) -> list[vw.Example]:
        """Read content of so many actions; what was kept of it need not be looked at again.

        Raises:
            ValueError: it is not plain.
            RuntimeError: VW has no name for something in it.
        """
        if not is_plain(content, count):
            raise ValueError("expected plain content")
        return self._parser.parse_json(f'{{"c":{content.decode()}}}')
