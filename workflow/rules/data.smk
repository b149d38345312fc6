rule fetch:
    output:
        "work/raw/{folder}/{part}.json",
    log:
        "work/logs/fetch/{folder}.{part}.log",
    retries: 2
    params:
        recipe=lambda w: GRID.raw_recipe(w.folder),
        what=lambda w: GRID.fetched(w.folder, w.part),
    shell:
        "python -m harness fetch {params.what} > {log} 2>&1"


rule prepare:
    input:
        lambda w: GRID.raw(w.dataset, w.category),
    output:
        "work/data/{protocol}/{dataset}/{category}/{size}px/manifest.json",
    log:
        "work/logs/prepare/{protocol}.{dataset}.{category}.{size}px.log",
    threads: 2
    params:
        place=lambda w: GRID.place(w.protocol, w.dataset, w.category),
        recipe=lambda w: GRID.recipe(w.protocol, w.dataset, w.category, int(w.size)),
        failures=lambda w: GRID.failures(
            f"{w.protocol}.{w.dataset}.{w.category}.{w.size}px"
        ),
    shell:
        "python -m harness prepare {params.place} --size {wildcards.size} --cores {threads} --note-failure > {log} 2>&1"
