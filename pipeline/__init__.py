"""From labelled videos to a tiny synthetic audio-visual set; the library knows no command line."""

__version__ = "0.2.0"
