"""Where bytes lie, one module by kind: a folder on this machine; object stores and the Hub are to come."""
