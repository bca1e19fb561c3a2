"""What single codes stand for, and how they lie among each other."""
