"""Tasks: uses of a synthetic set, and how well students trained on it do them on real windows."""
