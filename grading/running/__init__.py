"""Grading a class: one submission, the batch, the journal, the audit, the rules of a course."""
