"""``python -m cds_service.cli``: the same as ``cds-service``."""

from . import main

main()
