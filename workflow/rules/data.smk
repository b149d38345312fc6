rule fetch:
    output:
        "work/raw/{folder}/{part}.json",
    log:
        "work/logs/fetch/{folder}.{part}.log",
    retries: 2
    params:
        recipe=lambda w: INPUTS.raw_recipe(w.folder),
        what=lambda w: INPUTS.fetched(w.folder, w.part),
    shell:
        "python -m harness fetch {params.what} > {log} 2>&1"


rule prepare:
    input:
        lambda w: INPUTS.raw(w.dataset, w.category),
    output:
        "work/data/{protocol}/{dataset}/{category}/{size}px/manifest.json",
    log:
        "work/logs/prepare/{protocol}.{dataset}.{category}.{size}px.log",
    # Before any fit: it takes both cores, so a fit that has one would leave the other idle until it ends.
    priority: 1
    threads: 2
    params:
        dataset=lambda w: INPUTS.dataset(w.protocol, w.dataset),
        recipe=lambda w: INPUTS.recipe(w.protocol, w.dataset, w.category, int(w.size)),
        failures=lambda w: INPUTS.failures(
            f"{w.protocol}.{w.dataset}.{w.category}.{w.size}px"
        ),
    shell:
        "python -m harness prepare --protocol {wildcards.protocol} --dataset {params.dataset}"
        " --category {wildcards.category} --size {wildcards.size} --cores {threads} --note-failure > {log} 2>&1"
