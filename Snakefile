# Table of contents. What depends on what stands in workflow/rules, how in the packages, which in config/ and tables/.
#
#   work/raw/<dataset>/…                                   fetched and verified
#   work/data/<protocol>/<dataset>/<category>/<n>px/       prepared arrays
#   work/fits/<key>/                                       weights, anomaly maps and image scores, log, status
#   work/records/<protocol>/<dataset>/<category>/<method>/seed<k>.json     fresh records (accepted ones: records/…)
#   results/[<protocol>/]<target>.{json,csv,tex,html}      the tables; without <protocol>: the paper's
#   results/[<protocol>/]fig….{pdf,png,json} · plot_….{pdf,png} · tables.pdf · report.html · all
from snakemake.utils import min_version

min_version("9.20")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"


# What plain `snakemake --cores 2` builds.
rule demo:
    default_target: True
    input:
        "results/demo/table3_iou.tex",
        "results/demo/table3_iou.html",


include: "workflow/rules/data.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/audit.smk"


# A cell that fails does not stop the others, and its table is built; the build still ends with exit code 1.
onsuccess:
    BUILD.end()


onerror:
    BUILD.end()
