"""Training: the supervised loop, training instances, augmentations, students and expert banks."""
