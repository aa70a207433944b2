"""Texts of many requests in batches: who waits, who goes next, and an answer for each of them."""
