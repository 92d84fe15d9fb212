"""Where rows come from: SQL over tables and the listing, layouts that write that SQL, and frames from Python."""
