"""`python -m stages <stage>` is `avdistill <stage>`."""

from stages import start

if __name__ == "__main__":
    start()
