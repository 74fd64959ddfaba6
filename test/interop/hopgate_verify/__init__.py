"""Hopgate's pure protocol checks, written a second time from src/core/SPEC.md alone."""
