rule export:
    input:
        fit="work/fits/{key}/fit.json",
        manifest=lambda w: GRID.manifest(w.key),
    output:
        maps="work/maps/{key}.npz",
        marker="work/maps/{key}.json",
    log:
        "work/logs/export/{key}.log",
    threads: lambda w: GRID.threads(w.key)
    resources:
        gpu=lambda w: GRID.gpus(w.key),
    params:
        cell=lambda w: GRID.arguments(w.key),
        failures=lambda w: GRID.failures(f"{w.key}.export"),
    shell:
        "python -m harness export {params.cell} > {log} 2>&1"
