from harness.figures.extra import EXTRA_PLOTS
from harness.workflow.environment import (
    check_first,
    collect_rarely,
    hand_over,
    read_plans,
)
from harness.workflow.turn import Turn

collect_rarely()
hand_over(config, workflow.basedir)
GRID, OUTPUTS = read_plans(config)
TURN = Turn(workflow, GRID.tables)
check_first(workflow, OUTPUTS)


container: "docker://ghcr.io/cavga-benchmark/cavga-benchmark:0.1.0"


wildcard_constraints:
    where="|".join(["", *(f"{name}/" for name in GRID.protocols if name != "paper")]),
    protocol="|".join(GRID.protocols),
    key="[0-9a-f]{24}",
    size="[0-9]+",
    seed="[0-9]+",
    table="|".join(GRID.tables),
    view="csv|tex|html",
    figure="|".join(OUTPUTS.figures or ["none"]),
    plot="|".join([*OUTPUTS.plots, *EXTRA_PLOTS]),


localrules:
    fetch,
    layers,
    evaluate,
    aggregate,
    render,
    document,
    figure,
    plot,
    report,
    all,
