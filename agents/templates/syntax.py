"""The syntax of templates: what is allowed, of which kind it is, and which fields it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from jinja2 import nodes

from agents.errors import did_you_mean
from agents.templates.filters import FILTERS, NUMBER, Kind, Value

Facts = frozenset[str]

_DEEPEST = 40  # levels of the syntax tree
_NAMES: dict[type[nodes.Node], str] = {
    nodes.For: "a loop",
    nodes.Call: "a call",
    nodes.CallBlock: "a call",
    nodes.Assign: "'set'",
    nodes.AssignBlock: "'set'",
    nodes.Macro: "a macro",
    nodes.Import: "an import",
    nodes.FromImport: "an import",
    nodes.Include: "an include",
    nodes.Scope: "'autoescape'",
    nodes.Extends: "'extends'",
    nodes.Block: "a block",
    nodes.Getitem: "a subscript",
    nodes.Dict: "a mapping",
    nodes.FilterBlock: "a filter block",
    nodes.Concat: "'~'",
    nodes.List: "a list",
    nodes.Tuple: "a list",
}
_ALLOWED = "only text, {{ customer.field }}, filters and 'if' are allowed"


class Field(NamedTuple):
    """A customer field as templates see it.

    Args:
        name: without `customer.`.
        kind: of its values.
        longest: characters of its longest value.
    """

    name: str
    kind: Kind
    longest: int


class Reader:
    """Reads one template's tree.

    Args:
        fields: what it may speak of.

    Attributes:
        needs: fields that it mentions where they might be missing.
        longest: at most how many characters it becomes.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self._fields = {field.name: field for field in fields}
        self.needs: set[str] = set()
        self.longest = 0

    def read(self, statements: Iterable[nodes.Node], known: Facts = frozenset()) -> None:
        """Read statements at a place where some fields are known to be there.

        Raises:
            ValueError: something is not allowed.
        """
        for statement in statements:
            if isinstance(statement, nodes.Output):
                for part in statement.nodes:
                    self._part(part, known)
            elif isinstance(statement, nodes.If):
                self._if(statement, known)
            else:
                raise _refused(statement)

    def _part(self, part: nodes.Expr, known: Facts) -> None:
        if isinstance(part, nodes.TemplateData):
            self.longest += len(part.data)
            return
        value = self._value(part, known)
        if value.kind not in ("text", "number"):
            raise _wrong(part, f"a text or a number to write, got {value}")
        self.longest += value.longest

    def _if(self, statement: nodes.If, known: Facts) -> None:
        branches: list[nodes.If] = [statement, *statement.elif_]
        for branch in branches:
            test = branch.test
            assert isinstance(test, nodes.Expr)
            self._condition(test, known)
            self.read(branch.body, known | _facts(test, true=True))
            known |= _facts(test, true=False)
        self.read(statement.else_, known)

    def _condition(self, node: nodes.Expr, known: Facts) -> None:
        value = self._value(node, known)
        if value.kind not in ("boolean", "text", "set"):
            raise _wrong(node, f"something true or false, got {value}; compare it")

    def _value(self, node: nodes.Expr, known: Facts) -> Value:
        match node:
            case nodes.Const():
                return _const(node)
            case nodes.Neg(node=nodes.Const() as positive):
                return _expect(node, _const(positive), "number")
            case nodes.Getattr():
                return self._field(node, known)
            case nodes.Filter():
                return self._filter(node, known)
            case nodes.CondExpr():
                return self._choice(node, known)
        self._logic(node, known)
        return Value("boolean", 0)

    def _logic(self, node: nodes.Expr, known: Facts) -> None:
        match node:
            case nodes.Test():
                self._test(node)
            case nodes.Not():
                self._condition(node.node, known)
            case nodes.And() | nodes.Or():
                self._condition(node.left, known)
                held = _facts(node.left, true=isinstance(node, nodes.And))
                self._condition(node.right, known | held)
            case nodes.Compare():
                self._compare(node, known)
            case _:
                raise _refused(node)

    def _field(self, node: nodes.Getattr, known: Facts) -> Value:
        field = self._named(node)
        if field.name not in known:
            self.needs.add(field.name)
        return Value(field.kind, field.longest)

    def _named(self, node: nodes.Expr) -> Field:
        if not (
            isinstance(node, nodes.Getattr)
            and isinstance(node.node, nodes.Name)
            and node.node.name == "customer"
        ):
            raise _refused(node)
        if node.attr not in self._fields:
            raise _wrong(
                node,
                f"a field of the customer, got customer.{node.attr};"
                f" {did_you_mean(node.attr, self._fields)}",
            )
        return self._fields[node.attr]

    def _choice(self, node: nodes.CondExpr, known: Facts) -> Value:
        if node.expr2 is None:
            raise _wrong(node, "an 'else' in the 'if' between braces")
        self._condition(node.test, known)
        first = self._value(node.expr1, known | _facts(node.test, true=True))
        second = self._value(node.expr2, known | _facts(node.test, true=False))
        _expect(node.expr2, second, first.kind)
        return Value(first.kind, max(first.longest, second.longest))

    def _compare(self, node: nodes.Compare, known: Facts) -> None:
        if len(node.ops) > 1:
            raise _wrong(node, "one comparison at a time; join them by 'and'")
        left, operand = self._value(node.expr, known), node.ops[0]
        if operand.op in ("in", "notin"):
            self._member(left, operand.expr, known)
            return
        _expect(operand.expr, self._value(operand.expr, known), left.kind)
        if operand.op not in ("eq", "ne") and left.kind not in ("number", "instant"):
            raise _wrong(node, f"numbers or instants around '<' or '>', got {left}")

    def _member(self, value: Value, group: nodes.Expr, known: Facts) -> None:
        if isinstance(group, (nodes.List, nodes.Tuple)):
            for item in group.items:
                _expect(item, self._value(item, known), value.kind)
            return
        _expect(group, value, "text")
        found = self._value(group, known)
        if found.kind not in ("set", "text"):
            raise _wrong(group, f"a list, a set or a text behind 'in', got {found}")

    def _test(self, node: nodes.Test) -> None:
        if node.name not in ("defined", "undefined"):
            raise _wrong(node, f"'is defined' or 'is not defined', got 'is {node.name}'")
        self._named(node.node)

    def _filter(self, node: nodes.Filter, known: Facts) -> Value:
        if node.name not in FILTERS:
            hint = did_you_mean(node.name, FILTERS)
            raise _wrong(node, f"a known filter, got '{node.name}'; {hint}")
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise _wrong(node, f"'{node.name}' behind a value, with literals alone")
        if node.name == "default" and isinstance(node.node, nodes.Getattr):
            known |= {self._named(node.node).name}
        value = self._value(node.node, known)
        given = [_literal(argument) for argument in node.args]
        try:
            return FILTERS[node.name](value, *given)
        except TypeError:
            raise _wrong(node, f"fewer words in the brackets of '{node.name}'") from None
        except ValueError as error:
            raise _wrong(node, str(error)) from None


def check_depth(tree: nodes.Node) -> None:
    """Refuse a tree that is so deep that code made of it might not run.

    Raises:
        ValueError: it has more than 40 levels.
    """
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise _wrong(level[0], "a template of fewer levels; it nests too deep")


def _facts(node: nodes.Expr, *, true: bool) -> Facts:
    """Name the fields that are surely there if a condition came out true, or false."""
    match node:
        case nodes.Test(name="defined" | "undefined", node=nodes.Getattr(attr=field)):
            return frozenset([field]) if (node.name == "defined") is true else frozenset()
        case nodes.Not():
            return _facts(node.node, true=not true)
        case nodes.And() if true:
            return _facts(node.left, true=True) | _facts(node.right, true=True)
        case nodes.Or() if not true:
            return _facts(node.left, true=False) | _facts(node.right, true=False)
        case _:
            return frozenset()


def _expect(node: nodes.Node, value: Value, kind: Kind) -> Value:
    if value.kind != kind:
        raise _wrong(node, f"{Value(kind, 0)}, got {value}")
    return value


def _const(node: nodes.Const) -> Value:
    match node.value:
        case bool():
            return Value("boolean", 0)
        case int() | float() if abs(node.value) <= 1e15:
            return Value("number", NUMBER)
        case str():
            return Value("text", len(node.value))
    raise _wrong(node, "a text, true, false or a number of at most 1e15")


def _literal(node: nodes.Expr) -> object:
    if not isinstance(node, nodes.Const):
        raise _wrong(node, "a literal in the brackets of a filter")
    return node.value


def _wrong(node: nodes.Node, expected: str) -> ValueError:
    return ValueError(f"{_where(node)}expected {expected}")


def _where(node: nodes.Node) -> str:
    return f"line {node.lineno} of the template: " if node.lineno else ""


def _refused(node: nodes.Node) -> ValueError:
    if isinstance(node, nodes.Name):
        said = f"the name '{node.name}'"
    elif isinstance(node, nodes.Getattr):
        said = f"'.{node.attr}' of something other than customer"
    elif isinstance(node, (nodes.BinExpr, nodes.UnaryExpr)) and type(node) not in _NAMES:
        said = "arithmetic"
    else:
        said = _NAMES.get(type(node), f"'{type(node).__name__.lower()}'")
    return ValueError(f"{_where(node)}got {said}; {_ALLOWED}")
