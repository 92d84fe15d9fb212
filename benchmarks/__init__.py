"""What packing costs here and elsewhere: the corpora, the contenders, and what they are measured with."""
