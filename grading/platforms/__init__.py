"""What Canvas, Moodle, Gradescope and NTU COOL call things: layouts of downloads, rosters."""
