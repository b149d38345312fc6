rule evaluate:
    input:
        lambda w: GRID.measured_from(
            w.protocol, w.dataset, w.category, w.method, int(w.seed)
        ),
    output:
        "work/records/{protocol}/{dataset}/{category}/{method}/seed{seed}.json",
    log:
        "work/logs/evaluate/{protocol}.{dataset}.{category}.{method}.seed{seed}.log",
    params:
        cell=lambda w: GRID.cell_arguments(
            w.protocol, w.dataset, w.category, w.method, int(w.seed)
        ),
        measures=lambda w: GRID.measures(
            w.protocol, w.dataset, w.category, w.method, int(w.seed)
        ),
    shell:
        "python -m harness evaluate {params.cell} > {log} 2>&1"
