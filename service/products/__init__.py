"""A catalogue that changes while it is served: kept in a log, laid over the bundle, merged in."""
