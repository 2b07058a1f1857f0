"""A loan's whole life as people live it, over HTTP only: who they are, what they do, what must come of it, and how two lives compare."""
