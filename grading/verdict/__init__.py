"""From outputs to words: distances, exercises as data, the judge, feedback, results."""
