"""What codes mean: how much they say about phones, speakers, pitch and energy, and which layers to take them from."""
