"""The homework: exercises, known mistakes, questions and the key computed from evidence, check, release."""
