"""Coresets: selectors that rank each class's samples by their features, and their rankings."""
