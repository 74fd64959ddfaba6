"""The one exception of this package: a refusal with its reason code (SPEC section 16)."""


class Fault(Exception):
    """A check that didn't hold. `reason` is the code of the first check that failed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
