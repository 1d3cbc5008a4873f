"""What every page and figure stands on: templates, packing, colours, normalization, images."""
