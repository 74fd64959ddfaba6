"""Patterns of policies: RE2, and nothing else."""

from typing import Any

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def compile_pattern(text: str) -> Any:
    """Raises re2.error for what RE2 does not know."""
    return re2.compile(text, _OPTIONS)
