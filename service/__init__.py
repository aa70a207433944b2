"""The deployable: texts in, recommendations with decisions out; uses no code outside itself."""
