"""One thin shell per stage: open, call the library, save."""

import signal


def start() -> None:
    """Run the command line; an interrupt before its stage begins ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from stages.cli import main

    main()
