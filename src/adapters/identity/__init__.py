"""Callers: tokens of the identity provider and sessions of our own."""
