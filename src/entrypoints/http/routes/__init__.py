"""The routes of each capability: decode, call one use case, return."""
