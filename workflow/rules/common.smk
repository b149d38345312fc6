import json
import os
import sys
import time

from benchmark.plan.grid import Grid
from benchmark.plan.outputs import EXTRA_PLOTS, Outputs

# Jobs read the same configuration as this file did, --config overrides included, wherever they run.
os.environ["CAVGA_CONFIG"] = json.dumps(dict(config))
os.environ["PYTHONPATH"] = os.pathsep.join([workflow.basedir, os.environ.get("PYTHONPATH", "")])
# "python" in a job is the interpreter that runs Snakemake, also where its environment was not activated.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])

GRID = Grid(config)
OUTPUTS = Outputs(GRID)
BEGAN = time.time()


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
    aggregate,
    render,
    document,
    figure,
    plot,
    report,
    all,
