rule layers:
    output:
        "work/layers/{protocol}/{method}.json",
    log:
        "work/logs/layers/{protocol}.{method}.log",
    params:
        dataset=lambda w: TARGETS.layers_dataset(w.method),
        networks=lambda w: TARGETS.layers_recipe(w.protocol, w.method),
    shell:
        "python -m harness layers {wildcards.method} --protocol {wildcards.protocol} --dataset {params.dataset}"
        " --output {output} > {log} 2>&1"


rule aggregate:
    input:
        lambda w: TARGETS.table_inputs(w.where, w.table),
    output:
        "results/{where}{table}.json",
    log:
        "work/logs/aggregate/{where}{table}.log",
    params:
        protocol=lambda w: protocol_of(w.where),
        published=lambda w: INPUTS.table_recipe(w.where, w.table),
    shell:
        "python -m harness aggregate {wildcards.table} --protocol {params.protocol} --output {output} > {log} 2>&1"


rule render:
    input:
        "results/{where}{table}.json",
    output:
        report(
            "results/{where}{table}.{view}",
            caption="../report/table.rst",
            category="Tables",
            labels=lambda w: {
                "table": TARGETS.title(w.table),
                "protocol": protocol_of(w.where),
                "as": w.view,
            },
        ),
    log:
        "work/logs/render/{where}{table}.{view}.log",
    params:
        code=INPUTS.render_recipe(),
        about=lambda w: TARGETS.about(w.where, w.table),
    shell:
        "python -m harness render {input} --output {output} > {log} 2>&1"


rule document:
    input:
        lambda w: TARGETS.tables(w.where),
    output:
        report(
            "results/{where}tables.pdf",
            caption="../report/document.rst",
            category="Tables",
            labels=lambda w: {
                "table": "All tables",
                "protocol": protocol_of(w.where),
                "as": "pdf",
            },
        ),
    log:
        "work/logs/render/{where}tables.pdf.log",
    params:
        code=TARGETS.document_recipe(),
    shell:
        "python -m harness document {input} --output {output} > {log} 2>&1"
