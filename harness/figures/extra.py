"""The plots that are not of one table: how they are headed, and how they are read."""

EXTRA_PLOTS = {
    "plot_thresholds": (
        "IoU against the threshold",
        "Line: reproduced. Black dots: as published in Table 1, where the data are the paper's.",
    ),
    "plot_training": (
        "Loss while training",
        "One panel a method and data set, one line a category and seed. Dotted: where the budget ended.",
    ),
}
