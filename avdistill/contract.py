"""`python -m avdistill.contract [NAME ...]` checks plugins against the contract of their kind."""

import avdistill  # noqa: F401 - first: it finds `pipeline` and `stages`
from stages.contract.run import main

if __name__ == "__main__":
    raise SystemExit(main())
