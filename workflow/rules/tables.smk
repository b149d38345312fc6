rule aggregate:
    input:
        lambda w: GRID.records(w.where, w.table),
    output:
        "results/{where}{table}.json",
    log:
        "work/logs/aggregate/{where}{table}.log",
    params:
        protocol=lambda w: GRID.protocol_of(w.where),
        printed=lambda w: GRID.table_recipe(w.where, w.table),
    shell:
        "python -m benchmark aggregate {wildcards.table} --protocol {params.protocol} --output {output} > {log} 2>&1"


rule render:
    input:
        "results/{where}{table}.json",
    output:
        report(
            "results/{where}{table}.{view}",
            category="Tables",
            labels={"table": "{table}", "as": "{view}"},
        ),
    log:
        "work/logs/render/{where}{table}.{view}.log",
    params:
        code=GRID.render_recipe(),
    shell:
        "python -m benchmark render {input} --output {output} > {log} 2>&1"
