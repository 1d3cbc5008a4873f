"""Drawn dishes in the eleven classes, each with the exact mask of its food."""
