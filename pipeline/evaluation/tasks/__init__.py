"""Tasks: what a synthetic set is for, and how well students trained on it do that on real windows."""
