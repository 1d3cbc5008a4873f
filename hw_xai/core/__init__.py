"""What every explainer stands on: checked arguments, a model lent unharmed, layers, batches, randomness."""
