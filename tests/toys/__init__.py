"""What test modules share: tiny inputs, and plugins built for them."""
