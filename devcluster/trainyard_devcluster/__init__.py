"""A cluster in one process tree, for laptops and CI. A development tool, not part of the product."""
