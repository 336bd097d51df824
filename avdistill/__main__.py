"""`python -m avdistill <command>` is `avdistill <command>`."""

import avdistill  # noqa: F401 - first: it finds `pipeline` and `stages`
from stages import start as main

if __name__ == "__main__":
    main()
