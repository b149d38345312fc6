rule report:
    input:
        lambda w: OUTPUTS.report_inputs(w.where),
    output:
        report(
            "results/{where}report.html",
            caption="../report/audit.rst",
            category="Audit",
            labels=lambda w: {
                "page": "The report for auditors",
                "protocol": GRID.protocol_of(w.where),
            },
        ),
    log:
        "work/logs/report/{where}report.log",
    params:
        protocol=lambda w: GRID.protocol_of(w.where),
        code=OUTPUTS.report_recipe(),
    shell:
        "python -m harness report --protocol {params.protocol} --output {output} > {log} 2>&1"


# Every documented target of a protocol; the file lists what was built with its digests.
rule all:
    input:
        lambda w: OUTPUTS.everything(w.where),
    output:
        "results/{where}all",
    log:
        "work/logs/report/{where}all.log",
    shell:
        "python -m harness sums {input} --output {output} > {log} 2>&1"
