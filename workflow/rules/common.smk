from harness.figures.extra import EXTRA_PLOTS
from harness.paths import protocol_of
from harness.workflow.environment import read_plans, set_for_jobs
from harness.workflow.failed import Build

set_for_jobs(config)
INPUTS, TARGETS = read_plans(config)
BUILD = Build()


container: "docker://ghcr.io/cavga-benchmark/cavga-benchmark:0.1.0"


wildcard_constraints:
    where="|".join(
        ["", *(f"{name}/" for name in INPUTS.plans.protocols if name != "paper")]
    ),
    protocol="|".join(INPUTS.plans.protocols),
    key="[0-9a-f]{24}",
    size="[0-9]+",
    seed="[0-9]+",
    table="|".join(INPUTS.plans.tables),
    view="csv|tex|html",
    figure="|".join(TARGETS.figures or ["none"]),
    plot="|".join([*TARGETS.plots, *EXTRA_PLOTS]),
    unknown=TARGETS.unknown,


localrules:
    demo,
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
    unknown,
