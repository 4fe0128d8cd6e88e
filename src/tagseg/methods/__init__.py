"""What can be trained: FSR, and the plain classifier that is its baseline. ``training`` knows ``Method`` alone."""
