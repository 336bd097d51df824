"""`python -m stages <stage>` is `avdistill <stage>`."""

from stages.cli import main

if __name__ == "__main__":
    main()
