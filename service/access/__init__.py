"""Who may ask for what, and how much: API keys, their scopes and their rate limits."""
