"""What the local stack shows itself with: a first bundle, and offers of made-up shops."""
