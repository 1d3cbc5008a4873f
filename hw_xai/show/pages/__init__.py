"""The pages, one folder each: page.py, its template, its style, its script."""
