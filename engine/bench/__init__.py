"""Measurements of speed and drift, each in one run beside what it is compared with."""
