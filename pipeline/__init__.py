"""From labelled videos to a tiny synthetic audio-visual set; the library knows no command line, prints nothing and owns no path."""

__version__ = "0.1.0"
