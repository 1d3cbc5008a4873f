"""From what a course system lets one download to submissions as data. Nothing handed in is run or extracted here."""
