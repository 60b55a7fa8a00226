"""A backend that cannot be imported, as plugins sometimes cannot."""

import a_package_that_nobody_wrote  # noqa: F401

__all__: list[str] = []
