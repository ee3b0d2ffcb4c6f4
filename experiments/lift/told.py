"""What is told of the groups of a log, to people as tables and to machines as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import orjson
from rich.table import Table

from experiments.lift.asked import Asked
from experiments.lift.comparison import Compared, Setting, compare_groups, compare_segments
from experiments.lift.labels import label
from experiments.lift.measures import Measure
from experiments.lift.plan import Fixed, Plan, fixed_test
from experiments.lift.selftest import SelfTest, self_test
from experiments.lift.tables import (
    comparison_table,
    plan_lines,
    ratio_lines,
    record,
    remarks,
    segment_table,
    self_test_table,
)


@dataclass(frozen=True)
class Told:
    """One report of the groups.

    Args:
        asked: the customers.
        setting: who is compared with whom, and when.
        measures: what they are compared by; the plan's is among them.
        plan: what was declared beforehand; None if nothing was.
        by: a field or an expression to also compare by; None for none.
        aa: whether control is also tested against itself.
    """

    asked: Asked
    setting: Setting
    measures: tuple[Measure, ...]
    plan: Plan | None = None
    by: str | None = None
    aa: bool = False

    def parts(self) -> Iterator[Table | str]:
        """Yield tables and lines, in order; no lift if customers were not assigned as declared."""
        found, currency = self.asked.found, self.asked.currency
        yield from ratio_lines(self.asked.ratio, self.asked.sizes)
        if found.moved:
            yield f"{found.moved:,} customers were seen in two groups and are left out"
        if found.given_back:
            yield (
                f"{found.given_back:,} contacts were not made after all: their customers count, and"
                " nothing that followed those decisions does"
            )
        if self.asked.broken:
            yield "warning: the lift is withheld until the assignment is understood"
            return
        rows = compare_groups(found, self.measures, self.setting)
        yield comparison_table(rows, self.setting, currency)
        if self.setting.covariates is not None:
            yield "means are adjusted for what was known before (CUPED): one may lie below 0"
        yield from remarks(rows, self.setting)
        yield from self._planned()
        if self.by is not None:
            yield from (segment_table(part, self.by, currency) for part in self._by())
            yield "all segments of a table hold at once (Bonferroni); p by Benjamini-Hochberg"
        if self.aa:
            yield self_test_table(self._self_tests())

    def record(self) -> dict[str, object]:
        """Return the same as plain values for JSON."""
        sizes, setting = self.asked.sizes, self.setting
        said: dict[str, object] = {
            "group": setting.group, "over": setting.over, "level": setting.level,
            "moved": self.asked.found.moved, "given_back": self.asked.found.given_back,
            "withheld": self.asked.broken,
            "ratio_p": None if sizes is None else self.asked.ratio,
            "ratio_p_at_all_times": None if sizes is None else float(sizes.p[-1]),
        }  # fmt: skip
        if self.asked.broken:
            return said
        rows = compare_groups(self.asked.found, self.measures, setting)
        said["metrics"] = [record(row, self.asked.currency) for row in rows]
        if self.plan is not None:
            said["plan"] = self.plan.model_dump() | {"digest": self.plan.digest}
            fixed = asdict(self._fixed(self.plan))
            said["fixed"] = fixed | {"at": None if fixed["at"] is None else str(fixed["at"])}
        if self.by is not None:
            said["segments"] = [
                record(row, self.asked.currency) for part in self._by() for row in part
            ]
        if self.aa:
            tests = [asdict(test) | {"measure": str(test.measure)} for test in self._self_tests()]
            said["aa"] = tests
        return said

    def _planned(self) -> list[str]:
        if self.plan is None:
            return ["no fixed-horizon test: none was declared with --plan"]
        return plan_lines(self.plan, self._fixed(self.plan), self.asked.currency)

    def _fixed(self, plan: Plan) -> Fixed:
        covariates = self.setting.covariates
        values = None if covariates is None else covariates.values
        return fixed_test(plan, self.asked.found, self.setting.members(self.asked.found), values)

    def _by(self) -> Iterator[tuple[Compared, ...]]:
        found = self.asked.found
        contexts = [orjson.loads(text) for text in found.context.tolist()]
        labels = label(self.by or "", contexts, found.first, self.asked.schema)
        for measure in self.measures:
            yield compare_segments(found, measure, self.setting, labels)

    def _self_tests(self) -> list[SelfTest]:
        measures = [measure for measure in self.measures if measure.kind != "retention"]
        if not measures:
            raise ValueError("--aa: expected a metric that is a mean or a ratio of means")
        return [
            self_test(
                measure, self.asked.found, self.setting.at,
                rho=self.setting.rho, level=self.setting.level, group=self.setting.over,
            )
            for measure in measures
        ]  # fmt: skip
