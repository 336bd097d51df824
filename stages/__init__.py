"""One thin shell per stage: open, call the library, save."""

import signal
from importlib import import_module


def start() -> None:
    """Run the command line; an interrupt before its stage begins ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # By name: an import statement would put the command line into the digest of each stage's code.
    import_module("stages.cli").main()
