"""Files of pictures: curves as SVG, episodes as GIF."""
