rule evaluate:
    input:
        lambda w: INPUTS.measured_from(
            w.protocol, w.dataset, w.category, w.method, int(w.seed)
        ),
    output:
        "work/records/{protocol}/{dataset}/{category}/{method}/seed{seed}.json",
    log:
        "work/logs/evaluate/{protocol}.{dataset}.{category}.{method}.seed{seed}.log",
    params:
        dataset=lambda w: INPUTS.dataset(w.protocol, w.dataset),
        depends_on=lambda w: INPUTS.depends_on(
            w.protocol, w.dataset, w.category, w.method, int(w.seed)
        ),
    shell:
        "python -m harness evaluate --protocol {wildcards.protocol} --dataset {params.dataset}"
        " --category {wildcards.category} --method {wildcards.method} --seed {wildcards.seed}"
        " --note-failure > {log} 2>&1"
