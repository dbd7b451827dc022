"""One file per kind of route; each is a function from `Web` to a router."""
