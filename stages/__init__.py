"""One thin shell per stage: open, call the library, save."""
