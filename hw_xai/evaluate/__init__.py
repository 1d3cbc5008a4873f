"""Is the explanation any good? Knows only (model, inputs, target) and explainers: no food, no files, no plots."""
