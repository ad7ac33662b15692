"""Rate limits over `limits`: in this process, or shared through Valkey or Redis."""
