rule report:
    input:
        lambda w: TARGETS.report_inputs(w.where),
    output:
        report(
            "results/{where}report.html",
            caption="../report/audit.rst",
            category="Audit",
            labels=lambda w: {
                "page": "The report for auditors",
                "protocol": protocol_of(w.where),
            },
        ),
    log:
        "work/logs/report/{where}report.log",
    params:
        protocol=lambda w: protocol_of(w.where),
        code=TARGETS.report_recipe(),
    shell:
        "python -m harness report --protocol {params.protocol} --output {output} > {log} 2>&1"


# Every documented target of a protocol; the file lists what was built with its digests.
rule all:
    input:
        lambda w: TARGETS.everything(w.where),
    output:
        "results/{where}all",
    log:
        "work/logs/report/{where}all.log",
    shell:
        "python -m harness sums {input} --output {output} > {log} 2>&1"


# Any other file below results/: one line that names the nearest target.
rule unknown:
    input:
        lambda w: TARGETS.refuse(w.unknown),
    output:
        "results/{unknown}",
    log:
        "work/logs/report/unknown.{unknown}.log",
    shell:
        "false > {log}"
