"""The OpenAPI document: rendered from the routes, their types and their docstrings."""
