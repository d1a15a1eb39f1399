"""Rooms 1 and 2 as a GeoGebra construction with sliders: `softstep theory --geogebra FILE.ggb`."""

from softstep.explorer.geogebra.rooms import write_construction as write_construction
