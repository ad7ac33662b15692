"""Webhooks of identity providers: signatures, and the shapes of what they send."""
