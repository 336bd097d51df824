"""Results as stages wrote them, read once and checked against each other."""
