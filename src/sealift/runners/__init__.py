"""Map a function over shards and yield outcomes: on the cores of this machine; a Ray cluster is to come."""
