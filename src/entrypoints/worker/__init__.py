"""Work in the background, without a request."""
