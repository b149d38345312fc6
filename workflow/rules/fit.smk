# One process trains and predicts; it goes on from its checkpoint, and does not train again what it finds trained.
rule fit:
    input:
        lambda w: INPUTS.fit_data(w.key),
    output:
        status="work/fits/{key}/status.json",
        maps="work/fits/{key}/maps.npz",
    log:
        "work/logs/fit/{key}.log",
    benchmark:
        "work/logs/fit/{key}.tsv"
    threads: lambda w: INPUTS.threads(w.key)
    resources:
        gpu=lambda w: INPUTS.gpus(w.key),
    params:
        cell=lambda w: INPUTS.fit_cell(w.key),
        failures=lambda w: INPUTS.failures(w.key),
    shell:
        "python -m harness fit --protocol {params.cell[protocol]} --dataset {params.cell[dataset]}"
        " --category {params.cell[category]} --method {params.cell[method]} --seed {params.cell[seed]}"
        " --note-failure > {log} 2>&1"
