"""Database functions of old frontends, called as PostgREST serves them and answered by operations of the API."""
