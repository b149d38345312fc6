# The environment of requirements.lock with the repository in it: docker build -t ghcr.io/cavga-benchmark/cavga-benchmark:0.1.0 .
# It is also the image of `container:` in workflow/rules/common.smk. pdflatex is not in it: results/tables.pdf and
# results/all want texlive-latex-extra beside.
FROM python:3.11-slim-bookworm

# git: records name the commit that they were measured at
RUN apt-get update \
    && apt-get install -y --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /cavga \
    && useradd --create-home --uid 1000 cavga \
    && install --directory --owner=cavga --group=cavga /cavga

# PyTorch's wheels bring their own CUDA libraries; the host only has to have NVIDIA's driver and container toolkit.
COPY requirements.lock /tmp/requirements.lock
RUN pip install --no-cache-dir --disable-pip-version-check --requirement /tmp/requirements.lock

# The whole repository with .git: a file that git knows and the image lacks would mark every record as dirty.
COPY --chown=cavga:cavga . /cavga
USER cavga
WORKDIR /cavga
RUN install --directory work results .snakemake

ENTRYPOINT ["snakemake"]
CMD ["--cores", "all", "results/demo/table3_iou.html"]
