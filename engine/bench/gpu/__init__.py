"""Checks and times of everything that runs on a GPU: `adventure bench gpu`."""
