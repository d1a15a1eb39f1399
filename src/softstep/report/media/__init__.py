"""Files to look at: curves as SVG, episodes as GIF, TensorBoard scalars."""
