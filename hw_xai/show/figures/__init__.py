"""Figures for slides and notebooks, drawn by matplotlib."""
