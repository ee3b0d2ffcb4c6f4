"""How one decision is made: what stands, what is known, one by one and in batches."""
