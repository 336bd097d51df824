"""Losses that put a teacher's knowledge into a student: one file per method."""
