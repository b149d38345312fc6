rule figure:
    input:
        lambda w: TARGETS.figure_inputs(w.where, w.figure),
    output:
        pdf="results/{where}{figure}.pdf",
        png=report(
            "results/{where}{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda w: {
                "figure": TARGETS.title(w.figure),
                "protocol": protocol_of(w.where),
            },
        ),
        caption="results/{where}{figure}.json",
    log:
        "work/logs/figure/{where}{figure}.log",
    params:
        protocol=lambda w: protocol_of(w.where),
        shown=lambda w: TARGETS.figure_recipe(w.where, w.figure),
        about=lambda w: TARGETS.about(w.where, w.figure),
    shell:
        "python -m harness figure {wildcards.figure} --protocol {params.protocol} --output {output.pdf} > {log} 2>&1"


rule plot:
    input:
        lambda w: TARGETS.plot_inputs(w.where, w.plot),
    output:
        pdf="results/{where}{plot}.pdf",
        png=report(
            "results/{where}{plot}.png",
            caption="../report/plot.rst",
            category="Plots",
            labels=lambda w: {
                "plot": TARGETS.title(w.plot),
                "protocol": protocol_of(w.where),
            },
        ),
    log:
        "work/logs/plot/{where}{plot}.log",
    params:
        protocol=lambda w: protocol_of(w.where),
        code=TARGETS.plot_recipe(),
        about=lambda w: TARGETS.about(w.where, w.plot),
    shell:
        "python -m harness plot {wildcards.plot} --protocol {params.protocol} --output {output.pdf} > {log} 2>&1"
