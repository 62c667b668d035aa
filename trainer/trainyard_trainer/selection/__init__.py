"""Family auto: several families are tried on a table, and the best of them, or their weighted mean, is exported."""
