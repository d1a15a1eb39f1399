"""Files of pictures and scalars: curves as SVG, episodes as GIF, TensorBoard logs."""
