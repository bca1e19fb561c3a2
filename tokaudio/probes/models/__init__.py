"""Small models of fixed size on frozen tokens: features, fusion, heads, and how they are fitted."""
