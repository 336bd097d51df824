"""Distillation: the training split and its coresets become a synthetic set."""
