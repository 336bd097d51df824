"""TODO coresets."""
