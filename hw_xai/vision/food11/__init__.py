"""The food-11 photos: folder layouts, importing an archive, checking a folder."""
