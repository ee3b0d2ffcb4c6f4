"""Run the studies: `python -m experiments.studies`; half an hour, most of it `headroom`."""

from __future__ import annotations

from experiments.studies import decision_cost, estimating, learning_cost, peeking, table_speed
from experiments.studies.coverage.__main__ import run as coverage
from experiments.studies.headroom.__main__ import main as headroom
from experiments.studies.log_speed.study import run as log_speed
from experiments.studies.loops.__main__ import main as loops
from experiments.studies.many_actions.study import main as many_actions

_MARKETING = ["mkt24", "mkt120"]
_DENSE = ["digits", "mc5", "mc10nl", "covlike"]

if __name__ == "__main__":
    decision_cost.run()
    learning_cost.run()
    table_speed.run()
    log_speed()
    many_actions()
    peeking.run()
    estimating.run()
    coverage()
    sparse = ["hybrid_thompson", "greedy", "vw_squarecb", "mabwiser LinGreedy .05"]
    headroom(seeds=3, world=_MARKETING, method=sparse)
    dense = ["hybrid_thompson", "linear_thompson", "vw_squarecb", "LinUCB .25"]
    headroom(seeds=3, world=_DENSE, method=dense)
    headroom(seeds=3, world=["delay"])
    loops()
