"""The wire: decode, call one use case, return its struct."""
