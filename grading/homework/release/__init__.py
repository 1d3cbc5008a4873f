"""Making what students get: notebooks from masters, the packages that they install, pages for teaching."""
