"""One way to train for every network of the kit: a recipe with bounds, checkpoints, resume."""
