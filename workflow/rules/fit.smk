rule fit:
    input:
        lambda w: GRID.manifest(w.key),
    output:
        "work/fits/{key}/fit.json",
    log:
        "work/logs/fit/{key}.log",
    benchmark:
        "work/logs/fit/{key}.tsv"
    threads: lambda w: GRID.threads(w.key)
    resources:
        gpu=lambda w: GRID.gpus(w.key),
    params:
        cell=lambda w: GRID.arguments(w.key),
        failures=lambda w: GRID.failures(w.key),
    shell:
        "python -m harness fit {params.cell} > {log} 2>&1"
