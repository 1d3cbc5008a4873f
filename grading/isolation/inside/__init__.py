"""Exactly what lies in the sandbox beside the libraries: nothing in this folder knows an answer."""
