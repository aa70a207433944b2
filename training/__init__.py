"""Offline: labelled texts to a trained encoder, with the measures that say how good it is."""
