"""The food-11 photos: folder layouts, reading, importing an archive, checking a folder."""
